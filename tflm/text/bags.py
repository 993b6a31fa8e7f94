"""Words that are made of several rows of a table: their own, and those of their character n-grams."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Bags:
    """The rows of every word of a vocabulary of V.

    Attributes:
        ids: (total,) int32, word after word.
        splits: (V + 1,) int64, where each word's rows begin.
    """

    ids: np.ndarray
    splits: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """(V,)"""
        return np.diff(self.splits)

    def means(self, table: np.ndarray, rows_at_once: int = 1 << 16) -> np.ndarray:
        """The mean of each word's rows of `table`: (V, D). No word may be without rows."""
        vectors = np.empty((len(self.splits) - 1, table.shape[1]), "float32")
        step = max(rows_at_once // int(self.sizes.max()), 1)
        for first in range(0, len(vectors), step):
            bounds = self.splits[first : first + step + 1]
            rows = table[self.ids[bounds[0] : bounds[-1]]]
            sums = np.add.reduceat(rows, bounds[:-1] - bounds[0], axis=0)
            vectors[first : first + step] = sums / np.diff(bounds)[:, None]
        return vectors
