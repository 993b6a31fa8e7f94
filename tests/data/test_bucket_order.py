"""The order of buckets: a function of the step, every pair once an epoch, every bucket as often as due."""

import numpy as np
import pytest

from tflm.data.bucket_order import BucketOrder

CASES = [
    ([10, 7, 3], [4, 3, 2]),
    ([1, 1], [1, 1]),
    ([3, 2], [8, 5]),
    ([100], [7]),
    ([5, 400], [2, 3]),
]


def streams(order: BucketOrder, steps: int, num_buckets: int) -> list[list[np.ndarray]]:
    """The batches of each bucket, as they come."""
    found = [[] for _ in range(num_buckets)]
    for step in range(steps):
        bucket, pairs = order.at(step)
        found[bucket].append(pairs)
    return found


@pytest.mark.parametrize(("sizes", "rows"), CASES)
def test_every_pair_once_an_epoch(sizes, rows):
    order = BucketOrder(sizes, rows, seed=3)
    assert order.steps_per_epoch == pytest.approx(
        sum(n / r for n, r in zip(sizes, rows, strict=True))
    )
    epochs = 12
    # Whole epochs of the schedule: ceil(12 n / r) batches of each bucket.
    due = [-(-epochs * n // r) for n, r in zip(sizes, rows, strict=True)]
    found = streams(order, sum(due), len(sizes))
    assert [len(batches) for batches in found] == due
    for batches, size, row in zip(found, sizes, rows, strict=True):
        assert all(len(batch) == row for batch in batches)
        counts = np.bincount(np.concatenate(batches), minlength=size)
        # What the last batch has too much belongs to the next epoch.
        assert counts.min() >= epochs and counts.sum() < epochs * size + row
        assert counts.max() <= epochs + -(-row // size)


def test_a_bucket_is_permuted_anew_each_epoch():
    batches = [BucketOrder([6], [3], seed=0).at(step)[1].tolist() for step in range(400)]
    # Batches come in a permuted order within an epoch: each two of them are one epoch of the bucket.
    epochs = [batches[i] + batches[i + 1] for i in range(0, 400, 2)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 100


def test_buckets_are_mixed():
    order = BucketOrder([400, 400], [4, 4], seed=1)
    buckets = [order.at(step)[0] for step in range(200)]
    assert sum(buckets) == 100
    assert 70 < sum(a != b for a, b in zip(buckets, buckets[1:], strict=False)) < 130
    assert buckets != [order.at(step)[0] for step in range(200, 400)]
    assert buckets != [BucketOrder([400, 400], [4, 4], seed=2).at(step)[0] for step in range(200)]


@pytest.mark.parametrize(("sizes", "rows"), CASES)
def test_it_is_a_function_of_the_step(sizes, rows):
    order = BucketOrder(sizes, rows, seed=11)
    forward = [order.at(step) for step in range(60)]
    for step in reversed(range(60)):
        bucket, pairs = BucketOrder(sizes, rows, seed=11).at(step)
        assert bucket == forward[step][0]
        np.testing.assert_array_equal(pairs, forward[step][1])
    bucket, pairs = order.at(10**12)
    assert len(pairs) == rows[bucket] and (pairs < sizes[bucket]).all()


def test_in_order():
    order = BucketOrder([5, 2, 4], [2, 3, 4], seed=None)
    found = [(bucket, pairs.tolist()) for bucket, pairs in map(order.at, range(5))]
    assert found == [(0, [0, 1]), (0, [2, 3]), (0, [4]), (1, [0, 1]), (2, [0, 1, 2, 3])]
    assert order.num_batches == 5
    with pytest.raises(ValueError, match="There are 5 batches"):
        order.at(5)
