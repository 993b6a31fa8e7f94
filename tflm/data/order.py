"""A shuffled order that is computed, not stored: a bijection on [0, n) evaluated at any index.

A shuffle buffer would have to be refilled to resume at step k; here index k costs the same as index 0,
so a training run continues exactly where it stopped (design, decision 1).

The bijection is a Feistel network over the grid a x b with a = ceil(sqrt(n)) and b = ceil(n / a),
whose two coordinates are added to in turn, modulo a and b. The grid is at most a - 1 cells larger
than n; an index that lands in the surplus walks on along its cycle (Black and Rogaway, "Ciphers with
Arbitrary Finite Domains", 2002). Rounds are mixed by splitmix64 (Steele, Lea and Flood, 2014).
"""

import math

import numpy as np

ROUNDS = 5  # Each adds to both coordinates.
_MASK = (1 << 64) - 1


def permute(indices, n: int, seed: int) -> np.ndarray:
    """The places of `indices` in the shuffled order of n things that `seed` names.

    Args:
        indices: integers in [0, n), any shape.
        n: size of the set, below 2**62.
        seed: any integer.

    Returns:
        int64 array of the same shape; over all of [0, n) each value appears exactly once.
    """
    indices = np.asarray(indices, dtype=np.int64)
    if not 0 < n < 1 << 62:
        raise ValueError(f"`n` must be in [1, 2**62). Received: {n}.")
    if indices.size and (indices.min() < 0 or indices.max() >= n):
        raise ValueError(f"`indices` must be in [0, {n}).")
    height = math.isqrt(n - 1) + 1
    width = -(-n // height)
    keys = [fold_in(seed, round_index) for round_index in range(2 * ROUNDS)]
    values = _encrypt(indices.reshape(-1).astype(np.uint64), height, width, keys)
    outside = np.flatnonzero(values >= n)
    while outside.size:
        values[outside] = _encrypt(values[outside], height, width, keys)
        outside = outside[values[outside] >= n]
    return values.astype(np.int64).reshape(indices.shape)


def fold_in(seed: int, data: int) -> int:
    """A new seed from a seed and a number, e.g. of an epoch (the term is JAX's). In [0, 2**64)."""
    return _mix_int(
        _mix_int(seed & _MASK) ^ ((data * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _MASK)
    )


def mix(values: np.ndarray, seed: int) -> np.ndarray:
    """Pseudo-random uint64 numbers, a function of each of `values` (uint64) and of `seed`."""
    return _mix_array(values ^ np.uint64(_mix_int(seed & _MASK)))


def _encrypt(values: np.ndarray, height: int, width: int, keys: list[int]) -> np.ndarray:
    height, width = np.uint64(height), np.uint64(width)
    row, column = values // width, values % width
    for row_key, column_key in zip(keys[::2], keys[1::2], strict=True):
        row = (row + _mix_array(column ^ np.uint64(row_key)) % height) % height
        column = (column + _mix_array(row ^ np.uint64(column_key)) % width) % width
    return row * width + column


def _mix_array(values: np.ndarray) -> np.ndarray:
    values = (values + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _mix_int(value: int) -> int:
    # Plain integers: numpy warns when a scalar wraps around, an array does not.
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
