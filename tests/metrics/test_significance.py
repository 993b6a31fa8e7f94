"""Tests of significance by hand: sums of binomial coefficients, and all samples of a tiny test set."""

import itertools
import math

import numpy as np
import pytest

from tflm.errors import UserError
from tflm.metrics.classification import precision_recall_f1
from tflm.metrics.significance import mcnemar, paired_bootstrap


def answers(both, only_first, only_second, neither):
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return first, second


@pytest.mark.parametrize("pair", [(8, 2), (2, 8), (0, 6), (5, 5), (1, 0), (40, 21)])
def test_mcnemar_by_hand(pair):
    total = sum(pair)
    tail = sum(math.comb(total, k) for k in range(min(pair) + 1)) / 2**total
    result = mcnemar(*answers(50, *pair, 7))
    assert (result["only_first"], result["only_second"]) == pair
    assert result["p_value"] == pytest.approx(min(1, 2 * tail), rel=1e-12)


def test_mcnemar_of_models_that_agree():
    assert mcnemar([True, False], [True, False])["p_value"] == 1.0


def exact(first, second, metric):
    """Differences of the scores on all N^N samples of N examples."""
    places = range(len(first))
    return np.array(
        [
            metric([first[k] for k in drawn]) - metric([second[k] for k in drawn])
            for drawn in itertools.product(places, repeat=len(first))
        ]
    )


def mean(scores):
    return sum(scores) / len(scores)


def f1(counts):
    right, predicted, true = (sum(column) for column in zip(*counts, strict=True))
    return 2 * right / (predicted + true)


CASES = {
    "mean": ([1, 1, 0.5, 0, 1], [0, 0.5, 1, 0, 0.5], mean, None),
    "the second is better": ([0, 0.5, 1, 0, 0.5], [1, 1, 0.5, 0, 1], mean, None),
    "f1": (
        [[2, 3, 2], [1, 1, 4], [0, 0, 1], [3, 3, 3], [1, 2, 2]],
        [[1, 3, 2], [1, 2, 4], [1, 1, 1], [2, 3, 3], [0, 2, 2]],
        f1,
        lambda sums: precision_recall_f1(sums)[..., 2],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bootstrap_against_all_samples(name):
    first, second, by_hand, metric = CASES[name]
    differences = exact(first, second, by_hand)
    result = paired_bootstrap(first, second, metric, num_samples=20_000, seed=1)
    assert result["first"] == pytest.approx(by_hand(first))
    assert result["second"] == pytest.approx(by_hand(second))
    assert result["difference"] == pytest.approx(by_hand(first) - by_hand(second))
    p_value = 2 * min((differences <= 1e-12).mean(), (differences >= -1e-12).mean())
    assert 0.01 < p_value < 0.9
    assert result["p_value"] == pytest.approx(p_value, abs=0.012)  # 3 standard errors
    # The quantiles of the samples lie between those of shares a little smaller and larger.
    for end, share in (("low", 0.025), ("high", 0.975)):
        around = np.quantile(differences, [share - 0.004, share + 0.004])
        assert around[0] - 1e-12 <= result[end] <= around[1] + 1e-12, end


def test_bootstrap_has_a_seed():
    random = np.random.default_rng(0)
    pair = random.random(30), random.random(30)
    assert paired_bootstrap(*pair) == paired_bootstrap(*pair)
    assert paired_bootstrap(*pair) != paired_bootstrap(*pair, seed=1)


def test_bootstrap_of_a_clear_lead():
    first = np.ones(50)
    assert paired_bootstrap(first, first - 0.1)["p_value"] == pytest.approx(2 / 1001)
    assert paired_bootstrap(first, first)["p_value"] == 1.0


def test_errors():
    with pytest.raises(UserError, match=r"Received: \(2,\) of the first, \(3,\) of the second"):
        mcnemar([True] * 2, [True] * 3)
    with pytest.raises(UserError, match="one at least"):
        paired_bootstrap([], [])
    with pytest.raises(UserError, match=r"needs the metric .* statistics \(2, 3\), no metric"):
        paired_bootstrap(np.zeros((2, 3)), np.zeros((2, 3)))
