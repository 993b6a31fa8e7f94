"""Chunks of words: who reaches whom, what is drawn, what is left out, and that a batch is a function of its number."""

import numpy as np
import pytest

from tests.tiny_training import learnable_tokens, token_split
from tflm.data.word_chunks import WordChunks, word_counts
from tflm.errors import UserError
from tflm.text.bags import Bags

WINDOW = 3
TOKENS = np.concatenate([[2], learnable_tokens(400), [1, 1, 3, 2], learnable_tokens(400, 1), [3]])


def chunks(tokens=TOKENS, vocabulary_size=60, bags=None, **changes) -> WordChunks:
    settings = {
        "window": WINDOW,
        "sequence_length": 100,
        "batch_size": 8,
        "seed": 0,
        "subsample": 0.0,
        "power": 0.75,
        "shared_negatives": 16,
        "learning_rate": 0.025,
        "bags": bags,
    }
    return WordChunks(token_split(tokens), vocabulary_size, **(settings | changes))


def words_and_neighbours(batch):
    """(word, its neighbours) of every place of a batch, in order."""
    found = []
    for c in range(batch["num_chunks"][0]):
        ids, (left, right) = batch["position_ids"][c], batch["reach"][c]
        for i in range(len(left)):
            place = i + WINDOW
            around = [*ids[place - left[i] : place], *ids[place + 1 : place + right[i] + 1]]
            if left[i] + right[i]:  # others are alone, or belong to the next chunk
                found.append((int(ids[place]), [int(word) for word in around]))
    return found


def test_windows_stay_within_a_document_and_close_over_unknown_words():
    tokens = [2, 10, 11, 1, 12, 3, 2, 20, 21, 3]
    source = chunks(tokens, sequence_length=9, batch_size=1)
    source._windows.starts = lambda step: np.zeros(1, np.int64)
    seen = {}
    for step in range(60):  # the widths are drawn
        for word, around in words_and_neighbours(source.batch(step)):
            seen.setdefault(word, set()).update(around)
    assert seen == {10: {11, 12}, 11: {10, 12}, 12: {10, 11}, 20: {21}, 21: {20}}


def test_an_epoch_has_every_word_once():
    source = chunks(sequence_length=101, batch_size=8)
    assert source.steps_per_epoch == pytest.approx(1.0, abs=0.15)
    batch = source.batch(0)
    words = [word for word, _ in words_and_neighbours(batch)]
    assert len(words) >= 8 * 101 - 10  # but for the ends of documents and what is unknown
    counted, twice = np.bincount(words, minlength=60), 2 * np.bincount(TOKENS, minlength=60)
    assert (counted[4:] >= np.bincount(TOKENS, minlength=60)[4:] - 8).all()
    assert (counted <= twice).all()


def test_the_width_is_uniform_and_both_sides_have_it():
    tokens = np.concatenate([[2], np.random.default_rng(0).integers(4, 60, 20_000), [3]])
    source = chunks(tokens, sequence_length=2000, batch_size=8)
    reach = source.batch(0)["reach"]
    inner = reach[:, :, :].reshape(-1, 2, reach.shape[-1])
    same = inner[:, 0] == inner[:, 1]
    widths = inner[:, 0][same & (inner[:, 0] > 0)]
    share = np.bincount(widths, minlength=WINDOW + 1)[1:] / len(widths)
    np.testing.assert_allclose(share, 1 / WINDOW, atol=0.02)


def test_negatives_follow_the_counts_to_the_power():
    source = chunks()
    batches = [source.batch(step) for step in range(40)]
    drawn = np.concatenate([b["negative_ids"][: b["num_chunks"][0]].ravel() for b in batches])
    counts = np.bincount(TOKENS, minlength=60).astype("float64")
    counts[:4] = 0
    expected = counts**0.75 / (counts**0.75).sum()
    share = np.bincount(drawn, minlength=60) / len(drawn)
    assert share[:4].sum() == 0
    np.testing.assert_allclose(share, expected, atol=0.004)


def test_frequent_words_are_skipped():
    counts = np.bincount(TOKENS, minlength=60)[4:]
    share = counts / counts.sum()
    present = share[share > 0]
    keep = np.minimum(1, np.sqrt(0.005 / present) + 0.005 / present)  # word2vec.c
    source = chunks(subsample=0.005)
    kept = np.mean([len(words_and_neighbours(source.batch(step))) for step in range(30)])
    whole = np.mean([len(words_and_neighbours(chunks().batch(step))) for step in range(5)])
    assert kept / whole == pytest.approx((present * keep).sum(), abs=0.03)


def test_a_batch_is_a_function_of_seed_and_step():
    one, same, other = chunks(seed=3), chunks(seed=3), chunks(seed=4)
    one.batch(5)
    for name, value in one.batch(9).items():
        np.testing.assert_array_equal(value, same.batch(9)[name])
        assert value.shape == np.shape(one.batch(10)[name])
    assert (one.batch(9)["position_ids"] != other.batch(9)["position_ids"]).any()
    assert (one.batch(9)["position_ids"] != one.batch(10)["position_ids"]).any()


def test_chunks_are_smaller_where_updates_would_meet():
    def size(vocabulary_size, learning_rate):
        tokens = np.concatenate(
            [[2], np.random.default_rng(0).integers(4, vocabulary_size, 5000), [3]]
        )
        return chunks(tokens, vocabulary_size, learning_rate=learning_rate).chunk_size

    assert size(3000, 0.025) == 1024
    assert 32 <= size(30, 0.025) < 256
    assert size(30, 0.25) == 32


def test_bags_hold_the_rows_of_every_word():
    random = np.random.default_rng(0)
    sizes = random.integers(1, 9, 60)
    splits = np.concatenate([[0], np.cumsum(sizes)])
    bags = Bags(random.integers(60, 200, splits[-1]).astype("int32"), splits)
    plain, source = chunks(), chunks(bags=bags)
    words = []
    for step in range(3):
        batch = source.batch(step)
        for c in range(batch["num_chunks"][0]):
            ids, firsts = batch["position_ids"][c], batch["first_positions"][c]
            np.testing.assert_array_equal(ids[firsts], ids)
            for place, word in enumerate(ids):
                if word == 0:
                    continue
                rows = batch["bag_ids"][c][batch["bag_positions"][c] == firsts[place]]
                np.testing.assert_array_equal(rows, bags.ids[splits[word] : splits[word + 1]])
                assert batch["bag_sizes"][c][place] == sizes[word]
        words.append([word for word, _ in words_and_neighbours(batch)])
        # Whatever the chunks, the words and their windows are the same.
        assert words_and_neighbours(batch) == words_and_neighbours(plain.batch(step))
    assert all(words)


def test_chunks_end_early_where_their_rows_would_not_fit():
    sizes = np.where(np.arange(400) % 2, 60, 1)
    splits = np.concatenate([[0], np.cumsum(sizes)])
    bags = Bags(np.arange(splits[-1], dtype="int32") % 5000, splits)
    # Frequent short words make the expectation small; one stretch has long ones only.
    random = np.random.default_rng(0)
    short, long = random.integers(2, 200, 20_000) * 2, random.integers(2, 199, 1000) * 2 + 1
    tokens = np.concatenate([[2], short, long, [3]])
    source = chunks(tokens, 400, bags=bags, sequence_length=21_000, batch_size=1)
    source._windows.starts = lambda step: np.zeros(1, np.int64)
    batch = source.batch(0)
    assert (batch["bag_positions"] < batch["position_ids"].shape[1]).sum(axis=1).max() > 1500
    words = [word for word, _ in words_and_neighbours(batch)]
    np.testing.assert_array_equal(words, tokens[1:-2])


def test_counts_leave_out_what_is_no_word():
    counts = word_counts(token_split([2, 1, 7, 7, 5, 3]), 9)
    np.testing.assert_array_equal(counts, [0, 0, 0, 0, 0, 1, 0, 2, 0])


def test_a_text_without_known_words():
    with pytest.raises(UserError, match="The train split has no known word. Give more text."):
        chunks(np.array([2, *([1] * 200), 3]))
