"""Batches of bags: every text once an epoch, whole, and in a window that a loop of fixed shapes can read."""

import numpy as np
import pytest

from tests.data.fake_tokenizer import ByteTokenizer
from tflm.data.bag_batches import (
    CHUNK_ROWS,
    CHUNK_TEXTS,
    NUM_CHUNKS,
    ROW_IDS,
    SCALES,
    TEXTS,
    WINDOW,
    BagBatches,
)
from tflm.data.features import LABELS
from tflm.data.labelled_store import unlabelled_split
from tflm.text.ngrams import TextBags

PIECES = ["<pad>", "<unk>", "<s>", "</s>"] + [chr(i) for i in range(256)]
BAGS = TextBags(PIECES, 260, 2, 1000)


def texts_of(count: int) -> list[str]:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 12, count)
    lengths[count // 2] = 40
    return ["".join(random.choice(list("abcdefgh"), n)) + f"{i:03}" for i, n in enumerate(lengths)]


def split_of(texts):
    split = unlabelled_split(texts, ByteTokenizer())
    split.labels[:] = np.arange(len(texts))  # so that a text can be told
    return split


def read(batch, chunk_texts: int):
    """[(label, sorted rows)] of a batch, read as the training reads it."""
    found = []
    window, chunks = len(batch[WINDOW]), int(batch[NUM_CHUNKS][0])
    for k in range(chunks):
        start, first, end = batch[CHUNK_ROWS][k], *batch[CHUNK_TEXTS][k : k + 2]
        assert 0 < end - first <= chunk_texts
        assert start + window <= len(batch[ROW_IDS])
        rows = batch[ROW_IDS][start : start + window]
        owners = batch[TEXTS][start : start + window]
        for text in range(first, end):
            own = rows[owners == text]
            assert batch[SCALES][text] == pytest.approx(1 / len(own))
            found.append((int(batch[LABELS][text]), sorted(own.tolist())))
    assert batch[CHUNK_TEXTS][chunks] == batch[CHUNK_TEXTS][-1] == len(found)
    return found


@pytest.mark.parametrize(
    ("count", "batch_size", "chunk_texts"),
    [(50, 16, 4), (50, 16, 16), (7, 16, 3), (3, 20, 8), (1, 3, 2), (50, 1, 1)],
)
def test_every_text_once_an_epoch(count, batch_size, chunk_texts):
    texts = texts_of(count)
    expected = []
    for i, text in enumerate(texts):
        tokens = np.array([2, *ByteTokenizer().encode(text), 3])
        expected.append((i, sorted(BAGS.of(tokens, np.array([len(tokens)]))[0].tolist())))
    batches = BagBatches(split_of(texts), BAGS, batch_size, chunk_texts, seed=3)
    assert batches.steps_per_epoch == count / batch_size
    steps = [batches.batch(step) for step in range(-(-3 * count // batch_size))]
    shapes = [{name: (v.shape, v.dtype) for name, v in batch.items()} for batch in steps]
    assert all(shape == shapes[0] for shape in shapes)
    found = sum((read(batch, chunk_texts) for batch in steps), [])
    epochs = [found[i * count : (i + 1) * count] for i in range(3)]
    assert all(sorted(epoch) == expected for epoch in epochs)
    if count > 10:
        assert epochs[0] != epochs[1] != expected


def test_a_batch_depends_on_its_number_alone():
    split = split_of(texts_of(30))
    batches = BagBatches(split, BAGS, 8, 4, seed=3)
    for _ in range(3):
        batches.batch(0)
    for name, value in BagBatches(split, BAGS, 8, 4, seed=3).batch(5).items():
        np.testing.assert_array_equal(batches.batch(5)[name], value)
    assert (
        BagBatches(split, BAGS, 8, 4, seed=4).batch(5)[LABELS] != batches.batch(5)[LABELS]
    ).any()


def test_reading_order_ends_with_what_is_left():
    batches = BagBatches(split_of(texts_of(20)), BAGS, 8, 3, seed=None)
    assert batches.num_batches == 3
    found = [read(batches.batch(step), 3) for step in range(3)]
    assert [len(part) for part in found] == [8, 8, 4]
    assert [label for label, _ in sum(found, [])] == list(range(20))


def test_a_text_that_is_longer_than_a_chunk_of_mean_texts():
    batches = BagBatches(split_of(texts_of(40)), BAGS, 10, 1, seed=0)
    assert batches.chunk_rows == 2 * (40 + 3) + 1  # characters and </s>, and the pairs of them
