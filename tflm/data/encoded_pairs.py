"""Pairs of texts as token ids, read in order and encoded by worker processes; and which of them are left out."""

import dataclasses
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tflm.config import check_ranges
from tflm.data.corpora import DataConfig
from tflm.data.encode import EncodedBatch, encode_documents, in_batches
from tflm.data.parallel import parallel_texts
from tflm.data.workers import map_beside

# Why a pair is left out.
REASONS = ("empty", "too_long", "unequal")
# The ratio of the lengths of a few words says nothing.
_LONG_ENOUGH_FOR_A_RATIO = 8


class EncodedPairs(NamedTuple):
    """The sources of a batch of pairs, `ids..., eos`, and its targets, `bos, ids..., eos`."""

    source: EncodedBatch
    target: EncodedBatch


class PairEncoder(NamedTuple):
    """What a worker process does with a batch of (source, target)."""

    tokenizer: object
    source_tokenizer: object

    def __call__(self, pairs: list[tuple[str, str]]) -> EncodedPairs:
        sources, targets = map(list, zip(*pairs, strict=True))
        return EncodedPairs(
            encode_documents(self.source_tokenizer, sources).without_first(),
            encode_documents(self.tokenizer, targets),
        )


class EncodedPairsText:
    """
    Args:
        units: by the split that they are read for, what `parallel_texts` takes.
        config: how to read them, and by how many processes.
        encode: a PairEncoder.

    Attributes:
        bytes_read: so far.
        total: bytes to read.
    """

    def __init__(self, units: dict[str, tuple], config: DataConfig, encode: PairEncoder):
        self._units, self._config, self._encode = units, config, encode
        self.bytes_read = 0
        files = (file for some in units.values() for unit in some for file in unit)
        self.total = sum(os.path.getsize(file.path) for file in files)

    def batches(self) -> Iterator[tuple[str, EncodedPairs]]:
        """(split, pairs) in the order of `units`."""
        return map_beside(self._encode, self._read(), self._config.workers)

    def _read(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        for split, units in self._units.items():
            for unit in units:
                for batch in in_batches(parallel_texts(unit, self._config, self._count_read)):
                    yield split, [(pair.source, pair.target) for pair in batch]

    def _count_read(self, num_bytes: int):
        self.bytes_read += num_bytes


@dataclasses.dataclass(frozen=True)
class PairLimits:
    """Which pairs are left out, beside those of which a side is empty.

    Attributes:
        max_source_tokens, max_target_tokens: longer ones; eos counts, bos does not. 0 for no limit.
        max_length_ratio: those to train on whose longer side has more than so many times the tokens of the shorter,
            where it has more than 8. 0 for no limit.
    """

    max_source_tokens: int = 0
    max_target_tokens: int = 0
    max_length_ratio: float = 0.0

    def __post_init__(self):
        limits = dict.fromkeys(field.name for field in dataclasses.fields(self))
        check_ranges(self, **dict.fromkeys(limits, (0, None)))

    def reasons(self, pairs: EncodedPairs, to_train_on: bool) -> np.ndarray:
        """(n,) int8: the place in REASONS of why a pair is left out, or -1 for one that stays."""
        source, target = pairs.source.lengths - 1, pairs.target.lengths - 2  # of the texts alone
        longer, shorter = np.maximum(source, target), np.minimum(source, target)
        reasons = np.full(len(source), -1, np.int8)
        if self.max_length_ratio and to_train_on:
            unequal = longer > self.max_length_ratio * shorter
            reasons[unequal & (longer > _LONG_ENOUGH_FOR_A_RATIO)] = REASONS.index("unequal")
        if self.max_source_tokens:
            reasons[source + 1 > self.max_source_tokens] = REASONS.index("too_long")
        if self.max_target_tokens:
            reasons[target + 1 > self.max_target_tokens] = REASONS.index("too_long")
        reasons[shorter == 0] = REASONS.index("empty")
        return reasons


def count_reasons(reasons: np.ndarray) -> np.ndarray:
    """(3,) int64: how many were left out for each of REASONS."""
    return np.bincount(reasons[reasons >= 0], minlength=len(REASONS))


def note_left_out(counts) -> str:
    """A sentence for an error, on how many were left out for each of REASONS; "" for none."""
    counted = [f"{n:,} {reason}" for reason, n in zip(REASONS, counts, strict=True) if n]
    return f" Pairs that were left out: {', '.join(counted).replace('_', ' ')}." if counted else ""
