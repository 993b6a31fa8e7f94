"""Long sequences of tokens in overlapping windows, and in which window a token has most context.

The rule is that of BERT's run_squad.py (Devlin et al. 2019): a token's context in a window is what it has on its poorer
side, and a hundredth of the window's length decides between equals.
"""

import numpy as np


def windows_by_stride(length: int, room: int, stride: int) -> np.ndarray:
    """(K, 2), [start, end) of windows of at most `room` tokens; each begins `stride` tokens behind the last.

    One that holds the end of the sequence is the last. No token is passed over, however large the stride.
    """
    step = min(room, stride)
    starts = np.arange(0, max(length - room, 0) + step, step)
    # The first that reaches the end is the last that is needed.
    starts = starts[: int(np.argmax(starts + room >= length)) + 1]
    return np.stack([starts, np.minimum(starts + room, length)], axis=1)


def most_context(windows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """In which window each item has most context.

    Args:
        windows: (K, 2), [start, end) in tokens.
        items: (N, 2), the same of what is asked for: a token, or all the tokens of a word.

    Returns:
        (N,) numbers of windows, each of which holds its item whole; of equals the first.
    """
    left = items[None, :, 0] - windows[:, None, 0]  # (K, N)
    right = windows[:, None, 1] - items[None, :, 1]
    lengths = windows[:, None, 1] - windows[:, None, 0]
    poorer = np.minimum(left, right)
    return np.argmax(np.where(poorer >= 0, poorer + 0.01 * lengths, -np.inf), axis=0)
