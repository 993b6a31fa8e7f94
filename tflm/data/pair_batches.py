"""Batches of co-occurrences, computed from the step's number.

The table of pairs lies on the disk in an order without order. Each epoch reads it in chunks of neighbouring pairs, and
the chunks in another order: batch(step) depends on nothing but (table, seed, step).

Shapes: C chunks a batch, N pairs a chunk.
"""

import numpy as np

from tflm.data.cooccurrence import Cooccurrences
from tflm.data.order import fold_in, permute
from tflm.data.pair_runs import PAIR

FIRST_IDS, SECOND_IDS, COUNTS = "first_ids", "second_ids", "counts"


class PairBatches:
    """Every pair once an epoch; (i, j) and (j, i) are one.

    Attributes:
        chunk_size: N.
        num_chunks: in an epoch; the last may have fewer pairs.
        steps_per_epoch: float.
        tokens_per_step: C * N.
    """

    def __init__(self, table: Cooccurrences, chunk_size: int, chunks_per_step: int, seed: int):
        """
        Args:
            table: of one pair at least.
            chunk_size: N.
            chunks_per_step: C.
            seed: any integer.
        """
        self._table, self._chunks_per_step, self._seed = table, chunks_per_step, seed
        self.chunk_size = chunk_size
        self.num_chunks = -(-table.num_pairs // chunk_size)
        self.steps_per_epoch = self.num_chunks / chunks_per_step
        self.tokens_per_step = chunks_per_step * chunk_size

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """first_ids, second_ids (C, N) int32, counts (C, N) float32; what fills up a chunk counts 0."""
        pairs = np.zeros((self._chunks_per_step, self.chunk_size), PAIR)
        for row, chunk in zip(pairs, self._chunks(step).tolist(), strict=True):
            start = chunk * self.chunk_size
            found = self._table.read(start, min(start + self.chunk_size, self._table.num_pairs))
            row[: len(found)] = found
        return {
            FIRST_IDS: np.ascontiguousarray(pairs["first"]),
            SECOND_IDS: np.ascontiguousarray(pairs["second"]),
            COUNTS: np.ascontiguousarray(pairs["count"]),
        }

    def _chunks(self, step: int) -> np.ndarray:
        places = step * self._chunks_per_step + np.arange(self._chunks_per_step)
        epochs, places = np.divmod(places, self.num_chunks)
        chunks = np.empty_like(places)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            chunks[here] = permute(places[here], self.num_chunks, fold_in(self._seed, epoch))
        return chunks
