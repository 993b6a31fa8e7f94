"""Sampling against plain Python and numpy: the numbers, the filters, the distribution of what is drawn."""

import math

import numpy as np
import pytest
from keras import ops

from tflm.errors import UserError
from tflm.generation import sampling
from tflm.generation.sampling import REMOVED, SamplingConfig

MASK = 0xFFFFFFFF


def mix(x: int) -> int:
    """The finaliser of MurmurHash3, in Python's own integers."""
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & MASK
    return x ^ (x >> 16)


def number(seed: int, position: int, row: int, column: int) -> float:
    key = mix((seed * 0x9E3779B9 + position) & MASK)
    key = mix((key + row * 0x85EBCA6B) & MASK)
    bits = mix((key + column * 0xC2B2AE35) & MASK)
    return ((bits >> 9) + 0.5) / 2**23


def uniform(seed: int, position: int, shape) -> np.ndarray:
    return np.array(sampling.uniform(np.int32(seed), np.int32(position), shape))


@pytest.mark.parametrize(("seed", "position"), [(0, 0), (0, 1), (7, 123), (2**31 - 1, 10**6)])
def test_numbers_equal_plain_integers(seed, position):
    expected = [[number(seed, position, row, column) for column in range(5)] for row in range(3)]
    np.testing.assert_array_equal(uniform(seed, position, (3, 5)), np.float32(expected))


def test_published_values_of_the_finaliser():
    """Appleby's fmix32: 0 stays 0, and two values computed with the reference C code."""
    assert mix(0) == 0
    assert mix(1) == 0x514E28B7
    assert mix(0xFFFFFFFF) == 0x81F16F39


def test_numbers_never_reach_0_or_1():
    """Their Gumbel noise would be infinite and would draw a token that was removed."""
    largest, smallest = np.float32((2**23 - 1 + 0.5) / 2**23), np.float32(0.5 / 2**23)
    assert 0 < smallest < largest < 1
    numbers = uniform(3, 5, (64, 40_000))
    assert numbers.min() > 0
    assert numbers.max() < 1
    assert np.isfinite(np.log(-np.log(np.float32([smallest, largest])))).all()


def test_numbers_are_spread_evenly():
    numbers = uniform(1, 2, (50, 20_000)).astype("float64")
    count = numbers.size
    assert numbers.mean() == pytest.approx(0.5, abs=5 * math.sqrt(1 / 12 / count))
    assert numbers.var() == pytest.approx(1 / 12, abs=5 * math.sqrt(1 / 180 / count))
    observed = np.histogram(numbers, bins=100, range=(0, 1))[0]
    chi_square = ((observed - count / 100) ** 2 / (count / 100)).sum()
    assert 50 < chi_square < 160  # 99 degrees of freedom; beyond that one in 10,000


@pytest.mark.parametrize(
    "other",
    [
        lambda: uniform(0, 0, (200, 500))[:, 1:],  # next column
        lambda: uniform(0, 1, (200, 500))[:, :-1],  # next position
        lambda: uniform(1, 0, (200, 500))[:, :-1],  # next seed
        lambda: uniform(0, 0, (201, 500))[1:, :-1],  # next row
    ],
    ids=["column", "position", "seed", "row"],
)
def test_neighbours_are_not_correlated(other):
    one, two = uniform(0, 0, (200, 500))[:, :-1].ravel(), other().ravel()
    assert (one != two).mean() > 0.999
    correlation = np.corrcoef(one, two)[0, 1]
    assert abs(correlation) < 5 / math.sqrt(one.size)


# The filters, as their papers define them, one row at a time.


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits.astype("float64") - logits.max())
    return e / e.sum()


def kept_top_k(row, k: int) -> set[int]:
    return set(np.argsort(-row, kind="stable")[: k or len(row)])


def kept_top_p(row, p: float) -> set[int]:
    """Holtzman et al. 2020: the smallest set of the most likely tokens whose mass reaches p."""
    kept, mass = set(), 0.0
    for token in np.argsort(-row, kind="stable"):
        kept.add(token)
        mass += softmax(row)[token]
        if mass >= p:
            break
    return kept


def kept_min_p(row, share: float) -> set[int]:
    """Nguyen et al. 2024: tokens at least `share` as likely as the most likely one."""
    p = softmax(row)
    return {token for token in range(len(row)) if p[token] >= share * p.max()}


def kept(row, top_k=0, top_p=1.0, min_p=0.0) -> set[int]:
    filtered = sampling.keep_likely(
        ops.convert_to_tensor(row[None]), np.int32(top_k), np.float32(top_p), np.float32(min_p)
    )
    filtered = np.array(filtered)[0]
    assert (filtered[filtered > REMOVED / 2] == row[filtered > REMOVED / 2]).all()
    return set(np.flatnonzero(filtered > REMOVED / 2))


@pytest.mark.parametrize("seed", range(6))
def test_filters_keep_what_their_papers_keep(seed):
    row = np.random.default_rng(seed).normal(0, 3, 30).astype("float32")
    for k in (1, 2, 7, 30, 99):
        assert kept(row, top_k=k) == kept_top_k(row, k)
    for p in (0.01, 0.3, 0.8, 0.95, 0.9999):
        assert kept(row, top_p=p) == kept_top_p(row, p)
    for share in (0.001, 0.05, 0.4, 1.0):
        assert kept(row, min_p=share) == kept_min_p(row, share)
    # Together each removes its own, all measured on the whole distribution.
    expected = kept_top_k(row, 9) & kept_top_p(row, 0.9) & kept_min_p(row, 0.02)
    assert kept(row, top_k=9, top_p=0.9, min_p=0.02) == expected


@pytest.mark.parametrize("size", [3, 1000, 50_000])
def test_neutral_settings_remove_nothing(size):
    row = np.random.default_rng(0).normal(0, 2, size).astype("float32")
    assert len(kept(row)) == size
    assert len(kept(np.zeros(size, "float32"))) == size  # the sum of equal shares is rounded most


def test_the_most_likely_token_always_stays():
    row = np.array([1.0, 5.0, 2.0], "float32")
    assert kept(row, top_p=0.0) == {1}
    assert kept(row, top_p=1e-9) == {1}
    assert kept(row, min_p=1.0) == {1}


def test_ties_with_the_last_one_kept_stay():
    row = np.array([1.0, 3.0, 2.0, 2.0, 0.0], "float32")
    assert kept(row, top_k=2) == {1, 2, 3}


def test_rows_are_filtered_apart():
    rows = np.random.default_rng(0).normal(0, 3, (4, 20)).astype("float32")
    filtered = np.array(
        sampling.keep_likely(
            ops.convert_to_tensor(rows), np.int32(5), np.float32(0.9), np.float32(0.0)
        )
    )
    for row, out in zip(rows, filtered, strict=True):
        assert set(np.flatnonzero(out > REMOVED / 2)) == kept(row, 5, 0.9)


def test_repetition_makes_seen_tokens_less_likely():
    """Keskar et al. 2019, section 4.1: divided where positive, multiplied where negative."""
    logits = np.array([[2.0, -2.0, 3.0, -3.0, 0.0]], "float32")
    seen = np.array([[True, True, False, False, True]])
    out = sampling.penalize_repetition(ops.convert_to_tensor(logits), seen, np.float32(1.25))
    np.testing.assert_allclose(np.array(out), [[1.6, -2.5, 3.0, -3.0, 0.0]], rtol=1e-6)


def draw(logits, position=0, seen=None, **settings) -> np.ndarray:
    config = SamplingConfig(**settings)
    seen = np.zeros(logits.shape, bool) if seen is None else seen
    return np.array(
        sampling.next_token(
            ops.convert_to_tensor(logits),
            seen,
            np.int32(position),
            config.temperature,
            config.top_k,
            config.top_p,
            config.min_p,
            config.repetition_penalty,
            config.seed,
        )
    )


def test_greedy_takes_the_first_of_the_most_likely():
    logits = np.array([[1, 4, 4, 0], [9, 9, 9, 9], [0, 0, 0, 1]], "float32")
    for seed in range(3):
        np.testing.assert_array_equal(draw(logits, temperature=0.0, seed=seed), [1, 0, 3])


def test_greedy_obeys_the_penalty():
    logits = np.array([[2.0, 1.9, 0.0]], "float32")
    seen = np.array([[True, False, False]])
    assert draw(logits, temperature=0.0, seen=seen) == [0]
    assert draw(logits, temperature=0.0, seen=seen, repetition_penalty=1.2) == [1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_what_is_drawn_is_distributed_as_softmax(temperature):
    row = np.array([2.0, 1.0, 0.0, -1.0, 0.5, -3.0, 1.5], "float32")
    logits = np.tile(row, (20_000, 1))
    tokens = np.concatenate([draw(logits, p, temperature=temperature, seed=9) for p in range(3)])
    expected = softmax(row / temperature) * len(tokens)
    observed = np.bincount(tokens, minlength=len(row))
    chi_square = ((observed - expected) ** 2 / expected).sum()
    assert chi_square < 27.9  # 6 degrees of freedom, one in 10,000


def test_what_was_removed_is_never_drawn():
    row = np.random.default_rng(1).normal(0, 1, 50).astype("float32")
    logits = np.tile(row, (5000, 1))
    assert set(draw(logits, top_k=3)) == kept_top_k(row, 3)
    assert set(draw(logits, top_p=0.2)) <= kept_top_p(row, 0.2)
    assert set(draw(logits, min_p=0.5, temperature=1.0)) <= kept_min_p(row, 0.5)


def test_the_seed_and_the_position_decide():
    logits = np.zeros((1000, 30), "float32")
    one = draw(logits, position=4, seed=1)
    np.testing.assert_array_equal(one, draw(logits, position=4, seed=1))
    for other in (draw(logits, position=5, seed=1), draw(logits, position=4, seed=2)):
        assert (one == other).mean() < 0.1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": -0.1}, "`temperature` must be from 0 to 100. Received: -0.1."),
        ({"temperature": math.nan}, "`temperature` must be from 0 to 100. Received: nan."),
        ({"top_p": 1.1}, "`top_p` must be from 0 to 1. Received: 1.1."),
        ({"top_k": -1}, "`top_k` must be from 0 to"),
        ({"min_p": 2.0}, "`min_p` must be from 0 to 1"),
        ({"repetition_penalty": 0.0}, "`repetition_penalty` must be from 0.01 to 100"),
        ({"seed": -1}, "`seed` must be from 0 to"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(UserError, match=message):
        SamplingConfig(**setting)
