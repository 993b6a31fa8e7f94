"""Writing the files of a store: the work behind `build_store`.

This process reads and writes, others tokenize (encoded_text.py). What is written depends on the text alone, not on
the number of workers; memory depends on neither, but for 8 bytes a different document (duplicates.py).

    train.bin                   uint16 or uint32, `bos, ids..., eos` of every document
    train.document_starts.bin   int64, where each document's bos stands
"""

import contextlib
import os
from pathlib import Path

import numpy as np

from tflm.data.corpora import SPLITS, Corpus, DataConfig
from tflm.data.duplicates import SeenHashes
from tflm.data.encode import COUNTS, EncodedBatch, token_dtype
from tflm.data.encoded_text import EncodedText
from tflm.data.free_memory import release_free_memory
from tflm.data.splits import TEST, TRAIN, VALIDATION, SmallestHashes, SplitRule
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
    rule = SplitRule.of(config, corpora)
    filling = _Filling(folder, text, progress)
    filling.run(rule)
    mended = rule.mended(filling.documents, filling.smallest)
    if mended is not None:
        filling = _Filling(folder, text, progress)
        filling.run(mended)
        rule = mended
    places = [(split, n) for split, corpus in corpora.items() for n in range(len(corpus.files))]
    problems = [text.problems[place] for place in places if place in text.problems]
    _check_not_empty(rule, filling, config, corpora, problems)
    return {
        "tokenizer": {
            "kind": tokenizer.kind,
            "vocabulary_size": tokenizer.vocabulary_size,
            "bos_id": tokenizer.bos_id,
            "fingerprint": tokenizer.fingerprint(),
        },
        "dtype": token_dtype(tokenizer.vocabulary_size).name,
        "documents": config.documents,
        "files": len(places) - len(problems),
        "skipped_files": {
            "unknown_kind": sum(corpus.skipped for corpus in corpora.values()),
            "bad": len(problems),
        },
        "bad_files": problems[:10],
        "moved_to_empty_splits": len(rule.forced),
        "shared_by_validation_and_test": filling.shared_by_held_out,
        "splits": {name: filling.card(split) for split, name in enumerate(SPLITS)},
    }


class _Filling:
    """One pass over all the text."""

    def __init__(self, folder: Path, text, progress):
        self._folder, self._text, self._progress = folder, text, progress
        self._held_out = {name: SeenHashes() for name in SPLITS[1:]}
        self._seen = SeenHashes()
        self.smallest = SmallestHashes()
        self.documents = np.zeros(len(SPLITS), dtype=np.int64)
        self._tokens = np.zeros(len(SPLITS), dtype=np.int64)
        self._counts = np.zeros((len(SPLITS), len(COUNTS)), dtype=np.int64)
        self._duplicates = np.zeros(len(SPLITS), dtype=np.int64)
        self._shared = np.zeros(len(SPLITS), dtype=np.int64)
        self.shared_by_held_out = 0

    def run(self, rule: SplitRule):
        outputs = []
        try:
            for name in SPLITS:
                tokens = open(self._folder / f"{name}.bin", "wb")  # noqa: SIM115
                outputs.append([tokens])
                outputs[-1].append(open(self._folder / f"{name}.document_starts.bin", "wb"))  # noqa: SIM115
            with contextlib.closing(self._text.batches()) as encoded:
                for number, (place, batch) in enumerate(encoded, 1):
                    for split, keep in self._sorted_out(place.split, batch, rule):
                        self._write(outputs[split], split, batch, keep)
                    if self._progress is not None:
                        self._progress(self._text.activity, self._text.done, self._text.total)
                    if number % _BATCHES_BETWEEN_RELEASES == 0:
                        release_free_memory()
            release_free_memory()
            for file in (file for pair in outputs for file in pair):
                file.flush()
                os.fsync(file.fileno())
        finally:
            for file in (file for pair in outputs for file in pair):
                file.close()

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

    def _write(self, outputs, split: int, batch: EncodedBatch, keep: np.ndarray):
        if not keep.any():
            return
        starts = self._tokens[split] + np.cumsum(batch.lengths[keep]) - batch.lengths[keep]
        tokens = batch.tokens if keep.all() else batch.tokens[np.repeat(keep, batch.lengths)]
        outputs[0].write(tokens.data)
        outputs[1].write(starts.astype(np.int64).data)
        self.documents[split] += np.count_nonzero(keep)
        self._tokens[split] += len(tokens)
        self._counts[split] += batch.counts[keep].sum(axis=0)

    def card(self, split: int) -> dict:
        """What was counted about one split."""
        counts = {name: int(value) for name, value in zip(COUNTS, self._counts[split], strict=True)}
        text_tokens = int(self._tokens[split] - 2 * self.documents[split])
        return {
            "documents": int(self.documents[split]),
            "tokens": int(self._tokens[split]),
            **counts,
            "unknown_share": counts["unknown_tokens"] / max(text_tokens, 1),
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
