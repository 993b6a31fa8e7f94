"""Writing the files of a store: the work behind `build_store`.

This process reads and writes, others tokenize (encoded_text.py). What is written depends on the text alone, not on
the number of workers; memory depends on neither, but for 8 bytes a different document (duplicates.py).

    train.bin                   uint16 or uint32, `bos, ids..., eos` of every document
    train.document_starts.bin   int64, where each document's bos stands
"""

import contextlib
from pathlib import Path

import numpy as np

from tflm.data.corpora import SPLITS, Corpus, DataConfig
from tflm.data.duplicates import SeenHashes
from tflm.data.encode import EncodedBatch
from tflm.data.encoded_text import EncodedText
from tflm.data.free_memory import release_free_memory
from tflm.data.split_files import TokenFiles, card_of
from tflm.data.splits import TEST, TRAIN, VALIDATION, SmallestHashes, SplitRule, fill_splits
from tflm.errors import UserError

_BATCHES_BETWEEN_RELEASES = 16


def fill(
    folder: Path, corpora: dict[str, Corpus], config: DataConfig, tokenizer, progress=None
) -> dict:
    """Writes the split files into the empty `folder`. Returns the card, without the corpora's names.

    Raises:
        UserError: for a bad file, and where a split that is wanted comes out empty.
        OSError: where the folder cannot be written, the disk is full.
    """
    text = EncodedText(corpora, config, tokenizer)
    return fill_from(text, folder, corpora, config, tokenizer, progress)


def fill_from(
    text, folder: Path, corpora: dict[str, Corpus], config: DataConfig, tokenizer, progress=None
) -> dict:
    """As `fill`, with the encoded documents from `text`: an EncodedText, or what does as it does."""

    def filled(rule: SplitRule) -> _Filling:
        filling = _Filling(folder, text, progress)
        filling.run(rule)
        return filling

    filling, rule = fill_splits(filled, SplitRule.of(config, corpora))
    places = [(split, n) for split, corpus in corpora.items() for n in range(len(corpus.files))]
    problems = [text.problems[place] for place in places if place in text.problems]
    _check_not_empty(rule, filling, config, corpora, problems)
    return {
        **card_of(tokenizer, corpora, len(places) - len(problems), problems),
        "documents": config.documents,
        "moved_to_empty_splits": len(rule.forced),
        "shared_by_validation_and_test": filling.shared_by_held_out,
        "splits": {name: filling.card(split) for split, name in enumerate(SPLITS)},
    }


class _Filling:
    """One pass over all the text."""

    def __init__(self, folder: Path, text, progress):
        self._files = TokenFiles(folder)
        self._text, self._progress = text, progress
        self._held_out = {name: SeenHashes() for name in SPLITS[1:]}
        self._seen = SeenHashes()
        self.smallest = SmallestHashes()
        self.documents = self._files.documents
        self._duplicates = np.zeros(len(SPLITS), dtype=np.int64)
        self._shared = np.zeros(len(SPLITS), dtype=np.int64)
        self.shared_by_held_out = 0

    def run(self, rule: SplitRule):
        with self._files, contextlib.closing(self._text.batches()) as encoded:
            for number, (place, batch) in enumerate(encoded, 1):
                for split, keep in self._sorted_out(place.split, batch, rule):
                    self._files.append(split, batch, keep)
                if self._progress is not None:
                    self._progress(self._text.activity, self._text.done, self._text.total)
                if number % _BATCHES_BETWEEN_RELEASES == 0:
                    release_free_memory()
            release_free_memory()

    def _sorted_out(self, name: str, batch: EncodedBatch, rule: SplitRule):
        """(split, bool (n,) which documents to write there) for every split the batch touches."""
        if name in self._held_out:  # A given corpus is used whole, as it is.
            others = (self._held_out[other] for other in self._held_out if other != name)
            self.shared_by_held_out += sum(int(o.contains(batch.hashes).sum()) for o in others)
            self._held_out[name].add(batch.hashes)
            yield SPLITS.index(name), np.ones(len(batch.hashes), dtype=bool)
            return
        held_out = np.zeros(len(batch.hashes), dtype=bool)
        for hashes in self._held_out.values():
            held_out |= hashes.contains(batch.hashes)
        first = np.zeros(len(batch.hashes), dtype=bool)
        first[~held_out] = self._seen.add(batch.hashes[~held_out])
        splits = rule.split_of(batch.hashes)
        for split in (TRAIN, VALIDATION, TEST):
            here = splits == split
            self._shared[split] += np.count_nonzero(here & held_out)
            self._duplicates[split] += np.count_nonzero(here & ~held_out & ~first)
            yield split, here & first
        self.smallest.add(batch.hashes[(splits == TRAIN) & first])

    def card(self, split: int) -> dict:
        """What was counted about one split."""
        return {
            **self._files.card(split),
            "duplicates_removed": int(self._duplicates[split]),
            "shared_removed": int(self._shared[split]),
        }


def _check_not_empty(rule, filling: _Filling, config: DataConfig, corpora, problems):
    counts = filling.documents
    name = corpora["train"].name
    first = f" The first of {len(problems)} bad files: {problems[0]}" if problems else ""
    if not counts.any():
        raise UserError(f"The corpus {name!r} holds no text.{first}")
    for split in (VALIDATION, TEST):
        if SPLITS[split] in corpora and not counts[split]:
            raise UserError(f"The corpus {corpora[SPLITS[split]].name!r} holds no text.{first}")
    if not counts[TRAIN] and filling.card(TRAIN)["shared_removed"]:
        raise UserError(
            f"Nothing is left to train on: every document of {name!r} also stands in the validation "
            "or test corpus. Give other files."
        )
    empty = [SPLITS[split] for split in rule.empty_splits(counts)]
    if empty or not counts[TRAIN]:
        total = int(counts.sum())
        raise UserError(
            f"The corpus {name!r} has {total} different document{'s' * (total != 1)}, too few for the "
            f"{' and '.join(empty) or SPLITS[TRAIN]} split. Lower --config.data.section_bytes (now "
            f"{config.section_bytes}), or {rule.advice}."
        )
