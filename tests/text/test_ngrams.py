"""Bags of rows against a loop over single words in Python's own integers, and numbers that fastText gave."""

import numpy as np
import pytest

from tflm.text.ngrams import TextBags, fasttext_hash
from tflm.text.subwords import Subwords

PIECES = ["<pad>", "<unk>", "<s>", "</s>", "good", "film", "好", "é", "the"]
BUCKETS = 1009
TEXTS = [[2, 4, 5, 6, 7, 3], [2, 3], [2, 1, 8, 1, 5, 5, 3], [8, 4]]


def test_hashes_of_words():
    # Published with the algorithm: http://www.isthe.com/chongo/tech/comp/fnv
    assert fasttext_hash("") == 0x811C9DC5
    assert fasttext_hash("a") == 0xE40C292C
    assert fasttext_hash("foobar") == 0xBF9CF968
    # fastText 0.9's get_subword_id with 2,000,003 buckets: bytes above 127 are negative there.
    by_fasttext = {"a": 1996484, "foobar": 730899, "好": 418716, "é": 1042244, "</s>": 1357353}
    assert {word: fasttext_hash(word) % 2_000_003 for word in by_fasttext} == by_fasttext


def rows_by_hand(tokens: list[int], word_ngrams: int, subwords=None) -> list[int]:
    """dictionary.cc's getLine, addSubwords and addWordNgrams, for a text of known ids."""
    tokens = [token for token in tokens if token not in (0, 2)]
    rows = [token for token in tokens if token != 1]
    if subwords is not None:
        for token in tokens:
            if token > 3:
                rows += [len(PIECES) + int(b) for b in subwords.bucket_ids(PIECES[token])]
    hashes = []
    for token in tokens:
        value = fasttext_hash(PIECES[token])
        hashes.append(value - 2**32 if value >= 2**31 else value)  # int32_t
    for i in range(len(hashes)):
        value = hashes[i] % 2**64
        for j in range(i + 1, min(i + word_ngrams, len(hashes))):
            value = (value * 116049371 + hashes[j]) % 2**64
            rows.append(len(PIECES) + value % BUCKETS)
    return sorted(rows)


@pytest.mark.parametrize("word_ngrams", [1, 2, 3, 9])
@pytest.mark.parametrize("subwords", [None, Subwords(2, 4, BUCKETS)])
def test_rows_of_texts(word_ngrams, subwords):
    bags = TextBags(PIECES, len(PIECES), word_ngrams, BUCKETS, subwords)
    lengths = np.array([len(text) for text in TEXTS])
    rows, sizes = bags.of(np.concatenate(TEXTS), lengths)
    assert rows.dtype == np.int32
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    assert [sorted(part.tolist()) for part in parts] == [
        rows_by_hand(text, word_ngrams, subwords) for text in TEXTS
    ]
    assert bags.sizes(np.concatenate(TEXTS), lengths).tolist() == sizes.tolist()


def test_the_first_bucket_stands_behind_the_vocabulary():
    tokens, lengths = np.array(TEXTS[0]), np.array([len(TEXTS[0])])
    near = TextBags(PIECES, len(PIECES), 2, BUCKETS).of(tokens, lengths)[0]
    far = TextBags(PIECES, len(PIECES) + 7, 2, BUCKETS).of(tokens, lengths)[0]
    assert far.tolist() == [row + 7 * (row >= len(PIECES)) for row in near]


def test_a_text_without_words():
    bags = TextBags(PIECES, len(PIECES), 2, BUCKETS)
    rows, sizes = bags.of(np.array([2, 1]), np.array([2]))
    assert (len(rows), sizes.tolist()) == (0, [0])


def test_equals_fasttext(tmp_path):
    """The mean of the rows is fastText's own vector of a text."""
    fasttext = pytest.importorskip("fasttext")
    path = tmp_path / "train.txt"
    path.write_text("__label__a the film is good 很 好 é\n__label__b a bad film 不 好\n")
    model = fasttext.train_supervised(
        str(path), dim=4, wordNgrams=3, minn=2, maxn=3, bucket=BUCKETS, epoch=1, thread=1, verbose=0
    )
    words = model.get_words()
    pieces = PIECES[:4] + [word for word in words if word != "</s>"]
    matrix = model.get_input_matrix()
    own = [matrix[words.index(p)] if p in words else np.full(4, np.nan) for p in pieces]
    table = np.concatenate([own, matrix[len(words) :]])
    bags = TextBags(pieces, len(pieces), 3, BUCKETS, Subwords(2, 3, BUCKETS))
    for text in ("the film is good 很 好 é", "不 bad 好 film film"):
        tokens = np.array([2, *(pieces.index(word) for word in text.split()), 3])
        rows, _ = bags.of(tokens, np.array([len(tokens)]))
        np.testing.assert_allclose(
            table[rows].mean(axis=0), model.get_sentence_vector(text), atol=1e-6
        )
