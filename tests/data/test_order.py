"""The shuffled order: a bijection, well mixed, and as fast at the end as at the start."""

import collections
import time

import numpy as np
import pytest

from tflm.data.order import fold_in, mix, permute


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 99, 100, 101, 1000, 65537])
def test_every_number_appears_once(n):
    for seed in (0, 1, -5, 2**70):
        np.testing.assert_array_equal(np.sort(permute(np.arange(n), n, seed)), np.arange(n))


def test_value_does_not_depend_on_the_company():
    together = permute(np.arange(1000), 1000, 3)
    alone = [int(permute([i], 1000, 3)[0]) for i in range(1000)]
    assert together.tolist() == alone
    assert permute(np.arange(6).reshape(2, 3), 1000, 3).shape == (2, 3)


def test_all_orders_of_four_are_about_equally_frequent():
    orders = collections.Counter(tuple(permute(np.arange(4), 4, seed)) for seed in range(4800))
    assert len(orders) == 24
    # Chi-square with 23 degrees of freedom: above 49.7 with probability 0.001.
    assert sum((count - 200) ** 2 / 200 for count in orders.values()) < 49.7


def test_each_place_takes_each_value_about_equally_often():
    n, seeds = 50, 1500
    table = np.array([permute(np.arange(n), n, seed) for seed in range(seeds)])
    for place in range(0, n, 7):
        counts = np.bincount(table[:, place], minlength=n)
        expected = seeds / n
        assert ((counts - expected) ** 2 / expected).sum() < 86  # 49 degrees, probability 0.001.


def test_neighbours_are_scattered():
    n = 100_000
    order = permute(np.arange(n), n, 1)
    steps = np.abs(np.diff(order))
    # Of a random permutation: mean n / 3, and a pair is adjacent with probability 2 / n.
    assert abs(steps.mean() / (n / 3) - 1) < 0.02
    assert np.count_nonzero(steps == 1) < 12
    assert abs(np.corrcoef(np.arange(n), order)[0, 1]) < 0.015


def test_seeds_differ():
    first, second = permute(np.arange(1000), 1000, 1), permute(np.arange(1000), 1000, 2)
    assert np.count_nonzero(first == second) < 10
    assert fold_in(1, 2) != fold_in(2, 1)
    assert len({fold_in(seed, epoch) for seed in range(50) for epoch in range(50)}) == 2500


def test_order_is_the_same_on_every_machine():
    # Written down once; a run that resumes after an upgrade must see the same batches.
    assert permute(np.arange(8), 8, 0).tolist() == [0, 7, 4, 6, 3, 1, 2, 5]
    assert permute([0, 1, 10**15 - 1], 10**15, 7).tolist() == [
        828803001755146,
        635583365911671,
        316547930816740,
    ]


def test_far_away_costs_no_more():
    n = 10**15
    indices = np.random.default_rng(0).integers(0, n, 100_000)
    start = time.perf_counter()
    values = permute(indices, n, 5)
    assert time.perf_counter() - start < 2.0
    assert len(np.unique(values)) == len(np.unique(indices))
    assert values.min() >= 0 and values.max() < n


def test_mix_is_uniform():
    values = mix(np.arange(64_000, dtype=np.uint64), 9) >> np.uint64(58)
    counts = np.bincount(values.astype(np.int64), minlength=64)
    assert ((counts - 1000) ** 2 / 1000).sum() < 103  # 63 degrees of freedom, probability 0.001.


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"\[0, 5\)"):
        permute([5], 5, 0)
    with pytest.raises(ValueError, match="Received: 0"):
        permute([], 0, 0)
