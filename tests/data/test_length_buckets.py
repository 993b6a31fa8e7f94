"""Buckets by length: the cut is the best of all cuts, every pair is in one bucket, and the padding is counted."""

import itertools

import numpy as np
import pytest

from tflm.data import length_buckets
from tflm.data.length_buckets import Bucket, bucket_ends, group, lengths_between, padding_share


def cells(lengths, ends):
    """What the buckets of all `lengths` take, each thing as wide as its bucket's end, and of 64 things at least."""
    counts = np.diff([np.count_nonzero(lengths <= end) for end in (0, *ends)])
    return sum(max(count, 64) * end for count, end in zip(counts, ends, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_no_other_cut_has_fewer_cells(seed):
    lengths = np.random.default_rng(seed).integers(1, 30, 400)
    greatest = int(lengths.max())
    possible = [end for end in range(4, greatest, 4)]
    for num_buckets in (1, 2, 3):
        ends = bucket_ends(np.bincount(lengths), num_buckets)
        assert ends == sorted(ends) and ends[-1] == greatest and len(ends) <= num_buckets
        best = min(
            cells(lengths, [*cut, greatest])
            for count in range(num_buckets)
            for cut in itertools.combinations(possible, count)
        )
        assert cells(lengths, ends) == best


def test_a_few_long_ones_are_one_bucket():
    histogram = np.zeros(101, np.int64)
    histogram[10], histogram[60], histogram[100] = 1000, 3, 2
    assert bucket_ends(histogram, 3) == [12, 100]
    histogram[100] = 50
    assert bucket_ends(histogram, 3) == [12, 100]  # 60 still has too few
    histogram[60] = 90
    assert bucket_ends(histogram, 3) == [12, 60, 100]


@pytest.mark.parametrize("greatest", [1, 3, 4, 1023, 1025, 100_000])
def test_lengths_of_any_size(greatest):
    lengths = np.random.default_rng(0).integers(1, greatest + 1, 500)
    lengths[-1] = greatest
    ends = bucket_ends(np.bincount(lengths))
    assert ends[-1] == greatest
    assert len(ends) == (6 if greatest > 1000 else 1)


@pytest.mark.parametrize("block", [3, 1 << 18])
def test_groups(monkeypatch, block):
    monkeypatch.setattr(length_buckets, "_BLOCK", block)
    monkeypatch.setattr(length_buckets, "SMALLEST_PAIRS", 1)
    source = np.array([3, 9, 2, 7, 4, 3, 20, 2])
    target = np.array([4, 5, 3, 8, 2, 3, 12, 1])
    order = np.full(8, -1)
    buckets = group(lambda a, b: (source[a:b], target[a:b]), 8, "longest", order)
    # The longer sides are 4 9 3 8 4 3 20 2: up to 4, 8, 9 and 20.
    assert buckets == (
        Bucket(0, 5, 4, 4, 7, 14, 13),
        Bucket(5, 1, 7, 8, 15, 7, 8),
        Bucket(6, 1, 9, 5, 14, 9, 5),
        Bucket(7, 1, 20, 12, 32, 20, 12),
    )
    assert order.tolist() == [0, 2, 4, 5, 7, 3, 1, 6]
    # 5 x (4 + 4) + 15 + 14 + 32 cells, 88 of them full.
    assert padding_share(buckets) == pytest.approx(1 - 88 / 101)
    by_sum = group(lambda a, b: (source[a:b], target[a:b]), 8, "sum", order)
    assert [bucket.longest_sum for bucket in by_sum] == [3, 7, 15, 32]
    assert sorted(order) == list(range(8))


def test_lengths_of_documents():
    starts = np.array([0, 3, 4, 10])
    assert lengths_between(starts, 12, 0, 4).tolist() == [3, 1, 6, 2]
    assert lengths_between(starts, 12, 1, 3).tolist() == [1, 6]
    assert lengths_between(starts, 12, 0, 4).dtype == np.int64
