"""Which split a document belongs to: a function of its content, not of its place.

The 64-bit hash of a document, as a fraction of 2**64, is compared with the fractions of the
configuration. Equal documents therefore fall into the same split, a document that is added moves no
other one, and nothing needs to be remembered.
"""

import dataclasses

import numpy as np

from tflm.data.corpora import SPLITS, Corpus, DataConfig

TRAIN, VALIDATION, TEST = range(3)


@dataclasses.dataclass(frozen=True)
class SplitRule:
    """The split of every hash.

    Attributes:
        validation_fraction, test_fraction: 0 for a split that has a corpus of its own.
        forced: hash -> split, where the fractions alone would leave a split empty (see `mended`).
    """

    validation_fraction: float
    test_fraction: float
    forced: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, config: DataConfig, corpora: dict[str, Corpus]) -> "SplitRule":
        """The rule for reading the corpus of `corpora["train"]`."""
        return cls(
            0.0 if "validation" in corpora else config.validation_fraction,
            0.0 if "test" in corpora else config.test_fraction,
        )

    def split_of(self, hashes: np.ndarray) -> np.ndarray:
        """int8 (n,) of TRAIN, VALIDATION or TEST for `hashes`, uint64 (n,)."""
        # The upper 53 bits are exact in a float64.
        place = (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53
        splits = np.full(hashes.shape, TRAIN, dtype=np.int8)
        splits[place < self.validation_fraction + self.test_fraction] = TEST
        splits[place < self.validation_fraction] = VALIDATION
        for value, split in self.forced:
            splits[hashes == np.uint64(value)] = split
        return splits

    def empty_splits(self, counts) -> list[int]:
        """Which of VALIDATION and TEST were asked for and got none of the `counts` (3,) documents."""
        wanted = {VALIDATION: self.validation_fraction, TEST: self.test_fraction}
        return [split for split in (VALIDATION, TEST) if wanted[split] and not counts[split]]

    def mended(self, counts, smallest: "SmallestHashes") -> "SplitRule | None":
        """The rule for a corpus so small that a split came out empty; None if nothing is to mend.

        Each empty split takes the training document with the smallest hash that is left: still a
        function of the content alone. Not where that would leave nothing to train on.
        """
        empty = self.empty_splits(counts)
        if not empty or len(smallest.values) <= len(empty):
            return None
        forced = zip((int(value) for value in smallest.values), empty, strict=False)
        return dataclasses.replace(self, forced=tuple(forced))


class SmallestHashes:
    """The three smallest different numbers it has seen, in order: one for every split."""

    def __init__(self):
        self.values = np.zeros(0, dtype=np.uint64)

    def add(self, hashes: np.ndarray):
        self.values = np.unique(np.concatenate([self.values, hashes]))[: len(SPLITS)]
