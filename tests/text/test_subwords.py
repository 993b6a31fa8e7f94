"""Character n-grams and their buckets, against what the fastText package and gensim say, and against plain loops."""

import random

import numpy as np
import pytest

from tflm.errors import UserError
from tflm.text.subwords import Subwords

# (min_n, max_n, buckets, word): its ids by `get_subwords` of the package fasttext-wheel 0.9.2, the number of words
# subtracted, of models trained with `train_unsupervised(..., minn=, maxn=, bucket=)`.
FASTTEXT = {
    (3, 6, 2000000, "cat"): [916747, 1988973, 1428137, 289031, 1127995, 351106],
    (3, 6, 2000000, "a"): [1087600],
    (3, 6, 2000000, ""): [],
    (3, 6, 2000000, "naïve"): [
        *(1806890, 1907692, 878190, 933201, 1590546, 1719404, 832043, 156687, 356832, 1223007),
        *(1505331, 1711570, 1788548, 1088654),
    ],
    (3, 6, 2000000, "中文"): [759167, 1688531, 1876513],
    (3, 6, 2000000, "日本語です"): [
        *(758587, 4581, 174570, 369413, 35559, 1940528, 1955251, 38135, 1368280, 1171387),
        *(1871583, 95599, 154243, 778113),
    ],
    (3, 6, 2000000, "😀"): [870420],
    (3, 6, 2000000, "a😀b"): [623103, 1593255, 911451, 1986729, 661941, 813856],
    (3, 6, 2000000, "<s>"): [328578, 866932, 434046, 698322, 1511300, 420478],
    (1, 3, 1000, "cat"): [512, 747, 458, 945, 31, 220, 136, 106, 267, 615],
    (1, 3, 1000, "a"): [750, 600, 220, 806],
    (1, 3, 1000, ""): [367],
    (1, 3, 1000, "Straße"): [
        *(416, 364, 554, 42, 408, 267, 803, 910, 981, 540, 342, 220, 358, 809, 919, 950, 512),
        *(744, 490),
    ],
    (1, 3, 1000, "中文"): [166, 167, 628, 189, 513, 894, 24],
    (1, 3, 1000, "😀"): [818, 420, 496, 514],
    (1, 3, 1000, "e\u0301"): [226, 793, 744, 31, 259, 942, 216],
}


def random_words(count: int, seed: int) -> list[str]:
    chosen = random.Random(seed)
    letters = "abcdefghijklmno<>-'éßжд中文字\u0301\u200d😀\U0010ffff"
    return ["".join(chosen.choices(letters, k=chosen.randint(0, 12))) for _ in range(count)]


def by_loops(word: str, min_n: int, max_n: int, buckets: int) -> list[int]:
    """dictionary.cc, line by line, over bytes."""
    word = f"<{word}>".encode("utf-8", "surrogatepass")
    found = []
    for i in range(len(word)):
        if word[i] & 0xC0 == 0x80:
            continue
        j, n = i, 1
        while j < len(word) and n <= max_n:
            j += 1
            while j < len(word) and word[j] & 0xC0 == 0x80:
                j += 1
            if n >= min_n and not (n == 1 and (i == 0 or j == len(word))):
                value = 2166136261
                for byte in word[i:j]:
                    value = (value ^ int(np.int8(np.uint8(byte).view(np.int8)))) & 0xFFFFFFFF
                    value = value * 16777619 & 0xFFFFFFFF
                found.append(value % buckets)
            n += 1
    return found


@pytest.mark.parametrize("key", FASTTEXT, ids=str)
def test_ids_of_fasttext(key):
    *config, word = key
    assert Subwords(*config).bucket_ids(word).tolist() == FASTTEXT[key]
    assert Subwords(*config).bucket_ids(word).dtype == np.int64


def test_ngrams():
    assert Subwords(3, 4).ngrams("中文") == ["<中文", "<中文>", "中文>"]
    assert Subwords(1, 2).ngrams("ab") == ["<a", "a", "ab", "b", "b>"]
    assert Subwords(0, 1).ngrams("ab") == ["a", "b"]
    assert Subwords(2, 2).ngrams("") == ["<>"]
    assert Subwords(3, 3).ngrams("") == []
    assert Subwords(3, 0).ngrams("abc") == []


@pytest.mark.parametrize(
    "config", [(3, 6, 2_000_000), (1, 4, 97), (0, 1, 7), (2, 2, 2**31 - 1), (5, 30, 1000)]
)
def test_many_words(config, monkeypatch):
    monkeypatch.setattr("tflm.text.subwords._BLOCK_CHARACTERS", 50)
    words = [*random_words(300, seed=7), "", "x" * 120, "\ud800"]
    ids, splits = Subwords(*config).of_words(words)
    assert ids.dtype == np.int32 and splits.dtype == np.int64
    assert splits[0] == 0 and splits[-1] == len(ids) and len(splits) == len(words) + 1
    for word, start, end in zip(words, splits[:-1], splits[1:], strict=True):
        assert ids[start:end].tolist() == by_loops(word, *config), word
        assert len(Subwords(*config).ngrams(word)) == end - start


def test_nothing_to_hash():
    for words in ([], ["a", "bc"]):
        ids, splits = Subwords(3, 0).of_words(words)
        assert len(ids) == 0 and splits.tolist() == [0] * (len(words) + 1)
    assert Subwords().of_words([])[1].tolist() == [0]


def test_gensim_agrees():
    fasttext_inner = pytest.importorskip("gensim.models.fasttext_inner")
    subwords = Subwords(2, 5, 12345)  # gensim counts `<` alone as an n-gram of 1
    for word in random_words(300, seed=8):
        ngrams = fasttext_inner.compute_ngrams_bytes(word, 2, 5)
        assert subwords.ngrams(word) == [ngram.decode() for ngram in ngrams]
        expected = [fasttext_inner.ft_hash_bytes(ngram) % 12345 for ngram in ngrams]
        assert subwords.bucket_ids(word).tolist() == expected


def test_fasttext_agrees(tmp_path):
    fasttext = pytest.importorskip("fasttext")
    (tmp_path / "text").write_text("a few words\n" * 20, encoding="utf-8")
    model = fasttext.train_unsupervised(
        str(tmp_path / "text"),
        dim=1,
        minCount=1,
        minn=1,
        maxn=5,
        bucket=999,
        epoch=1,
        thread=1,
        verbose=0,
    )
    known = model.get_words()
    for word in random_words(300, seed=9):
        ngrams, ids = model.get_subwords(word)
        own = int(word in known)  # The row of a known word comes first.
        assert Subwords(1, 5, 999).ngrams(word) == ngrams[own:]
        assert Subwords(1, 5, 999).bucket_ids(word).tolist() == (ids[own:] - len(known)).tolist()


def test_mistakes():
    with pytest.raises(
        UserError, match=r"`max_n` must be at least `min_n`, or 0 .*min_n=3, max_n=2"
    ):
        Subwords(3, 2)
    with pytest.raises(
        UserError, match="`buckets` must be from 1 to below 2147483648. Received: 0"
    ):
        Subwords(3, 6, 0)
    with pytest.raises(UserError, match="`min_n` must be at least 0"):
        Subwords(-1, 6)
