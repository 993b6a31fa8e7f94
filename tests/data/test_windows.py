"""Batches: a function of the step alone, every token predicted once an epoch."""

import numpy as np
import pytest

from tflm.data.store import TokenSplit
from tflm.data.windows import ContiguousLanes, ShuffledWindows
from tflm.errors import UserError


def split_of(tokens):
    tokens = np.asarray(tokens, dtype=np.uint32)
    starts = np.flatnonzero(tokens == 2)
    return TokenSplit("train", tokens, starts, 0, 0, 0, len(starts), 0)


def numbered(count):
    """A stream in which each token tells its place (none is bos)."""
    return split_of(np.arange(count) + 10)


@pytest.mark.parametrize("kind", [ShuffledWindows, ContiguousLanes])
@pytest.mark.parametrize(("count", "length", "size"), [(1000, 7, 4), (701, 100, 3), (64, 1, 5)])
def test_every_token_is_predicted_once_an_epoch(kind, count, length, size):
    windows = kind(numbered(count), length, size, seed=3)
    if kind is ShuffledWindows:  # As many batches as fill whole epochs.
        steps, epochs = windows.num_windows, size
    else:
        steps, epochs = int(windows.steps_per_epoch), 1
    batches = [windows.batch(step) for step in range(steps)]
    labels = np.concatenate([batch["labels"] for batch in batches])
    labels = labels.reshape(epochs, windows.num_windows * length)
    lost = count - windows.num_windows * length
    assert lost < length * (size if kind is ContiguousLanes else 1) + size
    for epoch in labels:
        assert len(np.unique(epoch)) == len(epoch)
    for batch in batches:
        following = (batch["token_ids"] - 10 + 1) % count + 10
        np.testing.assert_array_equal(batch["labels"], following)
        np.testing.assert_array_equal(batch["token_ids"][:, 1:], batch["labels"][:, :-1])


def test_phases_reach_every_token():
    windows = ShuffledWindows(numbered(109), 10, 1, seed=0)
    seen = {
        label for step in range(200) for label in windows.batch(step)["labels"].ravel().tolist()
    }
    assert seen == set(range(10, 119))


def test_epochs_differ_and_so_do_seeds():
    windows = ShuffledWindows(numbered(1000), 10, 100, seed=0)
    assert windows.steps_per_epoch == 1.0
    first, second = (windows.batch(step)["token_ids"] for step in (0, 1))
    assert sorted(first[:, 0] % 10) != sorted(second[:, 0] % 10)  # Another phase.
    other = ShuffledWindows(numbered(1000), 10, 100, seed=1).batch(0)["token_ids"]
    assert not np.array_equal(first, other)
    assert first[:, 0].tolist() != sorted(first[:, 0])


@pytest.mark.parametrize("kind", [ShuffledWindows, ContiguousLanes])
def test_batch_is_a_function_of_the_step(kind):
    make = lambda: kind(numbered(5000), 16, 8, seed=11)  # noqa: E731
    forward = [make().batch(step) for step in range(100)]
    windows = make()
    for step in reversed(range(100)):
        for name, value in windows.batch(step).items():
            np.testing.assert_array_equal(value, forward[step][name])
    assert windows.batch(10**12)["labels"].shape == (8, 16)


def test_effective_batch_is_split_not_changed():
    """One batch of 6 is two of 3: accumulation must not change the order."""
    large = ShuffledWindows(numbered(500), 7, 6, seed=2)
    small = ShuffledWindows(numbered(500), 7, 3, seed=2)
    for step in range(40):
        halves = [small.batch(2 * step + half)["token_ids"] for half in range(2)]
        np.testing.assert_array_equal(large.batch(step)["token_ids"], np.concatenate(halves))


@pytest.mark.parametrize("kind", [ShuffledWindows, ContiguousLanes])
def test_weights(kind):
    tokens = np.random.default_rng(0).choice([2, 3, 4, 5], 400, p=[0.2, 0.2, 0.3, 0.3])
    windows = kind(split_of(tokens), 9, 4, seed=0)
    for step in range(30):
        batch = windows.batch(step)
        counted = batch["labels"] != 2
        assert not counted.all()
        expected = np.where(counted, 1 / counted.sum(), 0)
        np.testing.assert_allclose(batch["weights"], expected, rtol=1e-6)
        assert batch["weights"].sum() == pytest.approx(1, abs=1e-6)
        dtypes = {name: value.dtype.name for name, value in batch.items()}
        assert dtypes.pop("reset", "bool") == "bool"
        assert dtypes == {"token_ids": "int32", "labels": "int32", "weights": "float32"}


def test_every_lane_forgets_its_state_now_and_then():
    windows = ContiguousLanes(numbered(4 * 100 * 10), 10, 4, seed=5)
    resets = np.array([windows.batch(step)["reset"] for step in range(100)])
    assert resets[0].all()
    for lane in range(4):
        assert np.flatnonzero(resets[1:, lane]).tolist() == [31 - lane, 63 - lane, 95 - lane]


def test_lanes_go_on_where_they_ended():
    windows = ContiguousLanes(numbered(1003), 10, 4, seed=5)
    steps = int(windows.steps_per_epoch)
    assert steps == 25
    for epoch in range(3):
        batches = [windows.batch(epoch * steps + step) for step in range(steps)]
        assert [batch["reset"].tolist() for batch in batches] == [[True] * 4] + [[False] * 4] * 24
        for before, after in zip(batches, batches[1:], strict=False):
            np.testing.assert_array_equal(after["token_ids"][:, 0], before["labels"][:, -1])
    starts = {int(windows.batch(epoch * steps)["token_ids"][0, 0]) for epoch in range(10)}
    assert len(starts) > 5


def test_too_short():
    assert ShuffledWindows(numbered(9), 8, 64, seed=0).batch(3)["labels"].shape == (64, 8)
    with pytest.raises(UserError, match="one window of 8 tokens, 9 in all. Received: 8 tokens"):
        ShuffledWindows(numbered(8), 8, 1, seed=0)
    ContiguousLanes(numbered(33), 8, 4, seed=0).batch(0)
    with pytest.raises(UserError, match="4 lanes of 8 tokens, 33 in all.*batch_size"):
        ContiguousLanes(numbered(32), 8, 4, seed=0)
