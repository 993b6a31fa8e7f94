"""Rotary position embedding.

Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", equation 34.
The two halves of a head are rotated against each other (the layout of GPT-NeoX and Llama).
"""

import numpy as np
from keras import ops


def rotate(x, positions, base: float = 10_000.0):
    """Rotates every head of `x` by the angle of its position.

    Args:
        x: (B, T, H, Dh), Dh even.
        positions: (T,) int32, or (B, T) where rows have positions of their own.
        base: the longest wavelength is 2 pi * base tokens.

    Returns:
        (B, T, H, Dh), in the dtype of `x`. Angles are computed in float32.
    """
    half = x.shape[-1] // 2
    frequencies = (base ** (-np.arange(half) / half)).astype("float32")
    angles = ops.cast(positions, "float32")[..., None] * frequencies  # (..., T, Dh / 2)
    cos = ops.cast(ops.cos(angles), x.dtype)[..., None, :]
    sin = ops.cast(ops.sin(angles), x.dtype)[..., None, :]
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
