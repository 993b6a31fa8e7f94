"""A function applied to batches by other processes: order, errors, and words counted as one process counts them."""

import collections
import functools
import os
import pydoc_data.topics

import pytest
import regex

from tflm.data.workers import map_batches
from tflm.errors import UserError
from tflm.text.tokenizer import TokenizerConfig, train

TEXTS = [
    *pydoc_data.topics.topics.values(),
    *["中文分词很难，是吗？“是的”。我来到北京清华大学。\n"] * 3,
]


def where(batch):
    if batch == "wrong":
        raise UserError("A wrong batch.")
    return batch, os.getpid()


def test_in_order_and_by_others_where_there_is_much_to_do():
    batches = list(range(20))
    assert list(map_batches(where, iter(batches), 1)) == [(b, os.getpid()) for b in batches]
    assert list(map_batches(where, iter([]), 2)) == []
    assert list(map_batches(where, iter(batches[:3]), 2)) == [(b, os.getpid()) for b in range(3)]
    results = list(map_batches(where, iter(batches), 2))
    assert [batch for batch, _ in results] == batches
    workers = {process for _, process in results}
    assert os.getpid() not in workers and len(workers) <= 2


def test_an_error_of_the_function_and_one_of_the_batches_come_through():
    with pytest.raises(UserError, match="A wrong batch."):
        list(map_batches(where, ["right"] * 5 + ["wrong"], 2))

    def batches():
        yield from ["right"] * 6
        raise UserError("A bad file.")

    with pytest.raises(UserError, match="A bad file."):
        list(map_batches(where, batches(), 2))


def ranked(pieces):
    """By count, then by code point."""
    counts = collections.Counter(pieces)
    return sorted(counts, key=lambda piece: (-counts[piece], piece))


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("tflm.text.vocabulary.BATCH_CHARACTERS", 5000)


def train_with(num_workers, **fields):
    config = TokenizerConfig(vocabulary_size=10**6, normalization=("lowercase",), **fields)
    return train(config, TEXTS, functools.partial(map_batches, num_workers=num_workers))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_words_and_characters_are_counted_alike(small_batches, num_workers):
    lower = [text.lower() for text in TEXTS]
    pattern = regex.compile(r"[\p{L}\p{M}\p{N}_]+|[^\p{L}\p{M}\p{N}_\s]")
    words = ranked(word for text in lower for word in pattern.findall(text))
    assert train_with(num_workers, kind="word").pieces == words
    assert len(words) > 3000
    characters = ranked(char for text in lower for char in text)
    assert train_with(num_workers, kind="character").pieces == characters
    split = ranked(word for text in lower for word in text.replace("\n", " \n ").split(" ") if word)
    assert train_with(num_workers, kind="word", split="whitespace").pieces == split
