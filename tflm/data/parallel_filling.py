"""Writing the files of a store of pairs: the work behind `build_parallel_store`.

This process reads and writes, others tokenize. What is written depends on the texts alone; memory depends on neither
them nor the number of workers, but for 8 bytes a different source.
"""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from tflm.data.corpora import SPLITS, DataConfig, readable
from tflm.data.duplicates import SeenHashes
from tflm.data.encode import token_dtype
from tflm.data.encoded_pairs import (
    REASONS,
    EncodedPairs,
    EncodedPairsText,
    PairEncoder,
    PairLimits,
    count_reasons,
    note_left_out,
)
from tflm.data.free_memory import release_free_memory
from tflm.data.length_buckets import MEASURES
from tflm.data.parallel import parallel_texts
from tflm.data.parallel_corpora import FORMS, SYNTHETIC
from tflm.data.parallel_split import group
from tflm.data.split_files import TokenFiles, card_of, check_filled
from tflm.data.splits import TRAIN, SmallestHashes, SplitRule, fill_splits
from tflm.data.store import mapped

SOURCE_FILES = ("source.bin", "source_starts.bin")
_BATCHES_BETWEEN_RELEASES = 16


def order_file(measure: str) -> str:
    """What stands behind the name of a split, in the name of the file of one of its orders."""
    return f"by_{measure}.bin"


def fill_pairs(
    folder: Path,
    sources: dict,
    config: DataConfig,
    tokenizer,
    progress=None,
    *,
    source_tokenizer,
    limits: PairLimits,
) -> dict:
    """Writes the split files into the empty `folder` and returns the card, as `fill.fill` does.

    Args:
        sources: a ParallelCorpus for each of SPLITS that has one, and for SYNTHETIC.
        source_tokenizer, limits: see `build_parallel_store`.

    Raises:
        UserError: for a wrong row, and where a split that is wanted comes out empty.
        OSError: where the folder cannot be written.
    """
    units, problems = {}, []
    for split in (
        *SPLITS,
        SYNTHETIC,
    ):  # the synthetic pairs come last: they are held against the held-out ones
        if split in sources:
            units[split], bad = readable(sources[split], config, parallel_texts)
            problems += bad
    text = EncodedPairsText(units, config, PairEncoder(tokenizer, source_tokenizer))

    def filled(rule: SplitRule) -> _Filling:
        text.bytes_read = 0
        filling = _Filling(folder, text, limits, progress)
        filling.run(rule)
        return filling

    filling, rule = fill_splits(filled, SplitRule.of(config, sources))
    note = note_left_out(filling.left_out.sum(axis=0))
    check_filled(filling.documents, rule, sources, problems, "pair", FORMS, note)
    num_files = sum(len(unit) for some in units.values() for unit in some)
    return {
        **card_of(tokenizer, sources, num_files, problems),
        "source_dtype": token_dtype(source_tokenizer.vocabulary_size).name,
        "limits": dataclasses.asdict(limits),
        "synthetic": filling.synthetic if SYNTHETIC in units else None,
        "splits": {
            name: _with_buckets(folder, name, filling.card(split))
            for split, name in enumerate(SPLITS)
        },
    }


class _Filling:
    """One pass over all the texts."""

    def __init__(self, folder: Path, text: EncodedPairsText, limits: PairLimits, progress):
        self._text, self._limits, self._progress = text, limits, progress
        self._targets = TokenFiles(folder)
        self._sources = TokenFiles(folder, SOURCE_FILES)
        self.documents = self._targets.documents
        self.smallest = SmallestHashes()
        self.synthetic = {"pairs": 0, "held_out": 0}
        self.left_out = np.zeros((len(SPLITS), len(REASONS)), np.int64)
        self._shared = np.zeros(len(SPLITS), np.int64)
        self._trained_on, self._held_out = SeenHashes(), SeenHashes()

    def run(self, rule: SplitRule):
        with (
            self._targets,
            self._sources,
            contextlib.closing(self._text.batches()) as encoded,
        ):
            for number, (name, pairs) in enumerate(encoded, 1):
                if name == "train":
                    self._split(pairs, rule)
                elif name == SYNTHETIC:
                    self._add_synthetic(pairs)
                else:
                    self._add(SPLITS.index(name), pairs, np.ones(len(pairs.source.lengths), bool))
                if self._progress is not None:
                    self._progress("tokenize", self._text.bytes_read, self._text.total)
                if number % _BATCHES_BETWEEN_RELEASES == 0:
                    release_free_memory()
            release_free_memory()

    def _split(self, pairs: EncodedPairs, rule: SplitRule):
        splits = rule.split_of(pairs.source.hashes)
        for split in range(len(SPLITS)):
            kept = self._add(split, pairs, splits == split)
            if split == TRAIN:
                self.smallest.add(pairs.source.hashes[kept])

    def _add_synthetic(self, pairs: EncodedPairs):
        held_out = self._held_out.contains(pairs.source.hashes)
        held_out |= self._held_out.contains(pairs.target.hashes)
        kept = self._add(TRAIN, pairs, ~held_out)
        self.synthetic["pairs"] += int(np.count_nonzero(kept))
        self.synthetic["held_out"] += int(np.count_nonzero(held_out))

    def _add(self, split: int, pairs: EncodedPairs, here: np.ndarray) -> np.ndarray:
        """Writes the pairs that are `here`, bool (n,), in the split, without those to leave out; which these are."""
        reasons = self._limits.reasons(pairs, split == TRAIN)
        kept = here & (reasons < 0)
        self.left_out[split] += count_reasons(reasons[here])
        self._sources.append(split, pairs.source, kept)
        self._targets.append(split, pairs.target, kept)
        if split == TRAIN:
            self._trained_on.add(pairs.source.hashes[kept])
        else:
            self._shared[split] += np.count_nonzero(
                self._trained_on.contains(pairs.source.hashes[kept])
            )
            for side in pairs:
                self._held_out.add(side.hashes[kept])
        return kept

    def card(self, split: int) -> dict:
        """What was counted about one split."""
        return {
            **self._targets.card(split),
            "source": self._sources.card(split, added_tokens=1),
            "left_out": dict(zip(REASONS, map(int, self.left_out[split]), strict=True)),
            "duplicates_removed": 0,
            "shared_removed": 0,
            "shared_with_train": int(self._shared[split]),
        }


def _with_buckets(folder: Path, name: str, card: dict) -> dict:
    """Writes the orders of a split, and adds its buckets to its card."""
    num_pairs = card["documents"]
    paths = {measure: folder / f"{name}.{order_file(measure)}" for measure in MEASURES}
    buckets = dict.fromkeys(MEASURES, ())
    if num_pairs:
        orders = {m: np.memmap(p, np.int64, "w+", shape=(num_pairs,)) for m, p in paths.items()}
        buckets = group(
            mapped(folder / f"{name}.{SOURCE_FILES[1]}", "int64"),
            card["source"]["tokens"],
            mapped(folder / f"{name}.document_starts.bin", "int64"),
            card["tokens"],
            orders,
        )
        for order in orders.values():
            order.flush()
    else:
        for path in paths.values():
            path.touch()
    plain = {m: [dataclasses.asdict(bucket) for bucket in buckets[m]] for m in MEASURES}
    return card | {"buckets": plain}
