"""Which split a document belongs to: a function of its content, not of its place.

The 64-bit hash of a document, as a fraction of 2**64, is compared with the fractions of the
configuration. Equal documents therefore fall into the same split, a document that is added moves no
other one, and nothing needs to be remembered.

For K-fold cross-validation the place of a document outside the test split, again as a fraction, times
K is its fold: every such document is in the validation split of one fold and trained on in the others,
and the test split is that of a single training.
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
        folds, fold: the validation split is the fold-th of so many; 0 folds: it is `validation_fraction`.
        forced: hash -> split, where the fractions alone would leave a split empty (see `mended`).
    """

    validation_fraction: float
    test_fraction: float
    folds: int = 0
    fold: int = 0
    forced: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, config: DataConfig, corpora: dict[str, Corpus]) -> "SplitRule":
        """The rule for reading the corpus of `corpora["train"]`."""
        return cls(
            0.0 if "validation" in corpora else config.validation_fraction,
            0.0 if "test" in corpora else config.test_fraction,
            config.folds,
            config.fold,
        )

    def split_of(self, hashes: np.ndarray) -> np.ndarray:
        """int8 (n,) of TRAIN, VALIDATION or TEST for `hashes`, uint64 (n,)."""
        # The upper 53 bits are exact in a float64.
        place = (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53
        splits = np.full(hashes.shape, TRAIN, dtype=np.int8)
        splits[place < self.validation_fraction + self.test_fraction] = TEST
        splits[place < self.validation_fraction] = VALIDATION
        if self.folds:
            # As if the test split's places did not exist.
            behind = np.where(place < self.validation_fraction, place, place - self.test_fraction)
            folds = np.minimum(behind / (1 - self.test_fraction) * self.folds, self.folds - 1) // 1
            rest = splits != TEST
            splits[rest] = np.where(folds[rest] == self.fold, VALIDATION, TRAIN)
        for value, split in self.forced:
            splits[hashes == np.uint64(value)] = split
        return splits

    def empty_splits(self, counts) -> list[int]:
        """Which of VALIDATION and TEST were asked for and got none of the `counts` (3,) documents."""
        wanted = {VALIDATION: self.validation_fraction or self.folds, TEST: self.test_fraction}
        return [split for split in (VALIDATION, TEST) if wanted[split] and not counts[split]]

    @property
    def advice(self) -> str:
        """What to do where a split comes out empty."""
        if self.folds:
            return f"have fewer folds than {self.folds}, or set --config.data.test_fraction=0"
        return (
            "give --config.data.validation_corpus and --config.data.test_corpus, "
            "or set their fractions to 0"
        )

    def mended(self, counts, smallest: "SmallestHashes") -> "SplitRule | None":
        """The rule for a corpus so small that a split came out empty; None if nothing is to mend.

        Each empty split takes the training document with the smallest hash that is left: still a
        function of the content alone. Not where that would leave nothing to train on, and not in
        cross-validation, where a document would move into two folds.
        """
        empty = self.empty_splits(counts)
        if self.folds or not empty or len(smallest.values) <= len(empty):
            return None
        forced = zip((int(value) for value in smallest.values), empty, strict=False)
        return dataclasses.replace(self, forced=tuple(forced))


class SmallestHashes:
    """The three smallest different numbers it has seen, in order: one for every split."""

    def __init__(self):
        self.values = np.zeros(0, dtype=np.uint64)

    def add(self, hashes: np.ndarray):
        self.values = np.unique(np.concatenate([self.values, hashes]))[: len(SPLITS)]


def fill_splits(fill, rule: SplitRule):
    """What `fill(rule)` gives, and the rule; by a mended one, from the start, where a split came out empty.

    Args:
        fill: gives something with `documents` (3,), counts, and `smallest`, the SmallestHashes of the training split.
    """
    filling = fill(rule)
    mended = rule.mended(filling.documents, filling.smallest)
    return (filling, rule) if mended is None else (fill(mended), mended)
