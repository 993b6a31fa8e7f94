"""Positions as sines and cosines.

Vaswani et al. 2017, "Attention Is All You Need", section 3.5. All sines stand before all cosines, as in
Tensor2Tensor and fairseq: the same numbers as in the paper in another order.
"""

import numpy as np
from keras import ops


def sinusoids(positions, width: int):
    """(T,) int32 -> (T, width) float32.

    Args:
        width: D, even.
    """
    half = width // 2
    frequencies = (10_000.0 ** (-np.arange(half) / half)).astype("float32")
    angles = ops.cast(positions, "float32")[:, None] * frequencies
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)
