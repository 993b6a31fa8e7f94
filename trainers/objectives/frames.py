"""The words of a chunk as vectors: each position's own, and what every block looks into.

Shapes: N words a chunk, L words a block, n = N / L blocks, w window, P = N + 2w positions, F = L + 2w the frame of a
block, D hidden, M rows of subwords.
"""

import numpy as np
from keras import ops

from tflm.backend import add_rows
from tflm.data.word_chunks import (
    BAG_IDS,
    BAG_POSITIONS,
    BAG_SIZES,
    FIRST_POSITIONS,
    NEGATIVE_IDS,
    POSITION_IDS,
    REACH,
)


def input_sums(table, chunk: dict):
    """The input vector of every position: its word's row, or the sum of its word's and subwords' rows.

    Returns:
        sums (P, D), and of how many rows: (P,) float32.
    """
    ids = chunk[POSITION_IDS]
    if BAG_IDS not in chunk:
        return ops.take(table, ids, axis=0), ops.ones(ids.shape, "float32")
    # One more position takes what fills up the chunk's room.
    rows = ops.take(table, chunk[BAG_IDS], axis=0)
    sums = add_rows(ops.zeros((ids.shape[0] + 1, table.shape[1])), chunk[BAG_POSITIONS], rows)
    return ops.take(sums, chunk[FIRST_POSITIONS], axis=0), chunk[BAG_SIZES]


def add_to_inputs(table, chunk: dict, change):
    """`table` with `change` (P, D) added to every row that the position is made of (fastText does not divide it)."""
    if BAG_IDS not in chunk:
        return add_rows(table, chunk[POSITION_IDS], change)
    num_positions, width = change.shape
    change = add_rows(ops.zeros((num_positions + 1, width)), chunk[FIRST_POSITIONS], change)
    return add_rows(table, chunk[BAG_IDS], ops.take(change, chunk[BAG_POSITIONS], axis=0))


def input_frames(table, chunk: dict, frames: "Frames"):
    """As `input_sums`, of what every frame holds: sums (n, F, D) and counts (n, F).

    Words of one row are looked up once a frame, which is faster than to look them up once and to copy them.
    """
    if BAG_IDS not in chunk:
        ids = frames.of(chunk[POSITION_IDS])
        return ops.take(table, ids, axis=0), ops.ones(ids.shape, "float32")
    sums, counts = input_sums(table, chunk)
    return frames.of(sums), frames.of(counts)


def add_to_input_frames(table, chunk: dict, frames: "Frames", change):
    """As `add_to_inputs`, with a change (n, F, D) for every frame."""
    if BAG_IDS not in chunk:
        ids = ops.reshape(frames.of(chunk[POSITION_IDS]), (-1,))
        return add_rows(table, ids, ops.reshape(change, (ids.shape[0], -1)))
    return add_to_inputs(table, chunk, frames.add_up(change))


class Frames:
    """The blocks of a chunk and the frames they look into.

    Frame b holds the positions b * L to b * L + F - 1: block b of the positions, and the first 2w of block b + 1.

    Args:
        chunk: of WordChunks.
    """

    def __init__(self, chunk: dict):
        num_positions, self.num_words = chunk[POSITION_IDS].shape[0], chunk[REACH].shape[1]
        self.num_blocks = chunk[NEGATIVE_IDS].shape[0]
        self.block = self.num_words // self.num_blocks  # L
        self.overlap = num_positions - self.num_words  # 2w, at most L
        self.window = self.overlap // 2
        self.length = self.block + self.overlap  # F
        offset = np.arange(self.length)[None, :] - np.arange(self.block)[:, None] - self.window
        reach = ops.reshape(chunk[REACH], (2, self.num_blocks, self.block, 1))
        within = ops.logical_and(offset >= -reach[0], offset <= reach[1])
        # A word does not meet itself: a run of one word (a line of dashes) would be learnt from until nothing is
        # finite.
        ids = chunk[POSITION_IDS]
        is_other = self.centers(ids)[:, :, None] != self.of(ids)[:, None, :]
        self.mask = ops.cast(ops.logical_and(within, is_other), "float32")  # (n, L, F)

    def centers(self, positions):
        """(P, D) -> (n, L, D), the words of the blocks."""
        words = positions[self.window : self.window + self.num_words]
        return ops.reshape(words, (self.num_blocks, self.block, *positions.shape[1:]))

    def around(self, centers):
        """(n, L, D) -> (P, D), zeros in the halo."""
        flat = ops.reshape(centers, (self.num_words, centers.shape[-1]))
        return ops.pad(flat, ((self.window, self.window), (0, 0)))

    def of(self, positions):
        """(P, ...) -> (n, F, ...)."""
        rest = positions.shape[1:]
        blocks = (self.num_blocks, self.block, *rest)
        first = ops.reshape(positions[: self.num_words], blocks)
        room = [(0, self.block - self.overlap)] + [(0, 0)] * len(rest)
        next_blocks = ops.reshape(ops.pad(positions[self.block :], room), blocks)
        return ops.concatenate([first, next_blocks[:, : self.overlap]], axis=1)

    def add_up(self, frames):
        """(n, F, D) -> (P, D): the sum over the frames that a position stands in."""
        width = frames.shape[-1]
        first = ops.reshape(frames[:, : self.block], (self.num_words, width))
        first = ops.pad(first, ((0, self.overlap), (0, 0)))
        room = ((0, 0), (0, self.block - self.overlap), (0, 0))
        rest = ops.reshape(ops.pad(frames[:, self.block :], room), (self.num_words, width))
        rest = rest[: self.num_words - self.block + self.overlap]
        return first + ops.pad(rest, ((self.block, 0), (0, 0)))
