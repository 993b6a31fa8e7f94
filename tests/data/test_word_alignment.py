"""Words to tokens and back: each word once, whatever the windows."""

import random

import numpy as np
import pytest

from tests.data.run_squad import run_squad_windows
from tflm.data.context_windows import most_context, windows_by_stride
from tflm.data.word_alignment import encode_words, join_windows, spaced, word_windows
from tflm.errors import UserError
from tflm.text.tokenizer import TokenizerConfig, train

TEXT = "the old captain sees the sea . 你好世界 nobody paints a red house at 10 o'clock ."
CONFIGS = {
    "byte": TokenizerConfig(kind="byte"),
    "character": TokenizerConfig(kind="character"),
    "word": TokenizerConfig(kind="word"),
    "sentencepiece": TokenizerConfig(vocabulary_size=320),
}


@pytest.fixture(scope="module", params=CONFIGS)
def tokenizer(request):
    return train(CONFIGS[request.param], [TEXT] * 20)


def random_sentences(count: int):
    source = random.Random(3)
    words = [*TEXT.split(), "unknown-words-are-long", "\u3000", "x"]
    for _ in range(count):
        yield [source.choice(words) for _ in range(source.randint(1, 60))]


def test_spaces_are_those_of_running_text():
    assert spaced(["The", "sea", "."]) == ["The", " sea", " ."]
    assert spaced(["我", "爱", "NLP", "和", "2", "0", "号"]) == [
        "我",
        "爱",
        "NLP",
        "和",
        "2",
        "0",
        "号",
    ]
    assert spaced(["Go", "to", "I", "a"]) == ["Go", " to", " I", " a"]
    assert spaced(["m", "i", "l", "k", "好"]) == ["m", "i", "l", "k", "好"]
    assert spaced([]) == []


def test_tokens_of_words_are_those_of_the_sentence(tokenizer):
    """Where no token spans two words, encoding them one by one is encoding them together."""
    words = ["the", "old", "captain", "sees", "the", "sea", "."]
    together = [i for word in encode_words(tokenizer, words) for i in word.ids]
    assert together == tokenizer.encode(" ".join(words))


def test_the_first_token_that_is_no_space_carries_the_label(tokenizer):
    for words in random_sentences(20):
        for word, (ids, head) in zip(words, encode_words(tokenizer, words), strict=True):
            if tokenizer.kind in ("byte", "character"):
                assert head in (0, 1)
                assert ids[head] == tokenizer.encode(word)[0]
                assert head == 0 or tokenizer.decode(ids[:1]) == " "
            if tokenizer.kind == "word":
                assert head == 0
                assert ids == (tokenizer.encode(word) or [tokenizer.unk_id])
            if tokenizer.kind == "sentencepiece":
                assert tokenizer.decode(ids).lstrip(" ") == word
                assert tokenizer.decode(ids[:head]).strip(" ") == ""
                assert len(ids) == 1 or tokenizer.decode(ids[: head + 1]) != " "


def test_a_sentence_that_fits_is_one_window(tokenizer):
    words = TEXT.split()[:6]
    (window,) = word_windows(tokenizer, words, 200, 20)
    encoded = encode_words(tokenizer, words)
    assert window.token_ids.tolist() == [2, *(i for word in encoded for i in word.ids), 3]
    assert window.own.all()
    labels, weights = window.labels([7, 8, 9, 10, 11, 12])
    assert labels[window.heads].tolist() == [7, 8, 9, 10, 11, 12]
    assert weights.sum() == 6
    assert set(labels[weights == 0]) == {0}
    for head, word in zip(window.heads, encoded, strict=True):
        assert window.token_ids[head] == word.ids[word.head]


@pytest.mark.parametrize(("max_tokens", "overlap"), [(4, 0), (4, 1), (9, 3), (20, 17), (40, 8)])
def test_joined_windows_give_each_word_once(tokenizer, max_tokens, overlap):
    for words in random_sentences(40):
        windows = word_windows(tokenizer, words, max_tokens, overlap)
        assert windows[0].first_word == 0
        numbers = [w.first_word + np.arange(len(w.heads)) for w in windows]
        assert join_windows(windows, numbers).tolist() == list(range(len(words)))
        counted = sum(w.labels(list(range(len(words))))[1].sum() for w in windows)
        assert counted == len(words)
        # Two numbers a word, as of a softmax over two tags.
        both = [np.stack([n, -n], axis=1) for n in numbers]
        assert join_windows(windows, both)[:, 1].tolist() == [-n for n in range(len(words))]
        for w in windows:
            assert len(w.token_ids) <= max_tokens
            assert (w.token_ids[0], w.token_ids[-1]) == (2, 3)
        for before, after in zip(windows, windows[1:], strict=False):
            last = before.first_word + len(before.heads)
            assert (
                before.first_word < after.first_word <= last < after.first_word + len(after.heads)
            )
            encoded = encode_words(tokenizer, words)[after.first_word : last]
            assert sum(len(word.ids) for word in encoded) <= overlap


def test_a_word_counts_where_it_has_most_context():
    """By hand: ten words of one token, windows of six of which four are shared."""
    words = list("abcdefghij")
    windows = word_windows(train(CONFIGS["word"], [" ".join(words)]), words, 8, 4)
    assert [w.first_word for w in windows] == [0, 2, 4]
    # Words 2 to 5 have, left and right, 2 3, 3 2, 4 1 and 5 0 in the first window, 0 5, 1 4, 2 3 and 3 2 in the second.
    assert [w.own.tolist() for w in windows] == [
        [True, True, True, True, False, False],
        [False, False, True, True, False, False],
        [False, False, True, True, True, True],
    ]


def test_impossible_windows():
    tokenizer = train(CONFIGS["byte"], [])
    for max_tokens, overlap in ((3, 0), (8, 6), (8, -1)):
        with pytest.raises(UserError, match=f"windows of {max_tokens} tokens, {overlap} of them"):
            word_windows(tokenizer, ["a"], max_tokens, overlap)


@pytest.mark.parametrize("stride", [1, 3, 7, 10, 50])
def test_windows_are_those_of_run_squad(stride):
    for length in range(1, 60):
        spans, best = run_squad_windows(length, 10, stride)
        windows = windows_by_stride(length, 10, stride)
        assert windows.tolist() == [[start, start + size] for start, size in spans]
        places = np.arange(length)
        assert most_context(windows, np.stack([places, places + 1], axis=1)).tolist() == best
    assert windows_by_stride(0, 10, stride).tolist() == [[0, 0]]
