"""Tagged sentences as token and label ids on disk, memory-mapped: the token store's sister, built and kept as it is.

    train.bin                   uint16 or uint32, `bos, ids..., eos` of every window of a sentence (word_alignment.py)
    train.document_starts.bin   int64, where each window's bos stands
    train.labels.bin            int32, for every token the place of its word's label in the sorted label set, or -1
    train.sentence_starts.bin   int64, the number of each sentence's first window

The label set is that of the training corpus (tag_schemes.with_all_prefixes). A set is used as it was published: no
sentence is left out because it comes twice, or also stands in another split; the latter are counted.
"""

import collections
import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tflm.data import corpora
from tflm.data.corpora import SPLITS, Corpus, DataConfig, readable
from tflm.data.duplicates import SeenHashes
from tflm.data.encode import in_batches
from tflm.data.label_numbers import LabelNumbers, known_ids
from tflm.data.split_files import SplitFiles, TokenFiles, card_of, check_filled
from tflm.data.splits import TRAIN, SmallestHashes, SplitRule, fill_splits
from tflm.data.store import Store, StoreText, mapped, store_of
from tflm.data.tag_schemes import with_all_prefixes
from tflm.data.tagged import tagged_sentences
from tflm.data.tagged_split import (
    EncodedSentences,
    TaggedRows,
    TaggedSplit,
    TagReading,
    encode_sentences,
)
from tflm.data.workers import map_beside
from tflm.errors import UserError


class TaggedStore(Store):
    """A store of tagged sentences; its documents are windows.

    Attributes:
        card: as that of Store, with "labels" and "reading"; and for each split "sentences", "shared_with_train",
            sentences, and "by_label", words.
    """

    room = "tagged_stores"

    @staticmethod
    def files(card: dict, name: str) -> dict[str, int]:
        counts = card["splits"][name]
        own = {
            "labels.bin": counts["tokens"] * 4,
            "sentence_starts.bin": counts["sentences"] * 8,
        }
        return Store.files(card, name) | own

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.card["labels"])

    def split(self, name: str) -> TaggedSplit:
        return TaggedSplit(
            **vars(super().split(name)),
            labels=mapped(self.folder / f"{name}.labels.bin", "int32"),
            sentence_starts=mapped(self.folder / f"{name}.sentence_starts.bin", "int64"),
        )


def build_tagged_store(
    config: DataConfig, tokenizer, reading: TagReading, cache_folder=None, progress=None
) -> TaggedStore:
    """The TaggedStore for these texts, this tokenizer and this reading; else as `build_store`."""
    cache = corpora.cache_folder(cache_folder)
    settings = {"reading": dataclasses.asdict(reading)}
    text = StoreText(config, tokenizer, cache, progress, settings=settings)
    return store_of(text, cache, progress, TaggedStore, functools.partial(_write, reading=reading))


def _write(
    folder: Path,
    sources: dict[str, Corpus],
    config: DataConfig,
    tokenizer,
    progress=None,
    *,
    reading,
):
    """Writes the split files into the empty `folder` and returns the card, as `fill.fill` does.

    Raises:
        UserError: for a wrong row, a label that the training corpus lacks, fewer than two labels, an empty split.
        OSError: where the folder cannot be written.
    """
    files, problems = {}, []
    for split, corpus in sources.items():
        files[split], bad = readable(corpus, config, tagged_sentences)
        problems += bad

    def filled(rule: SplitRule) -> _Filling:
        filling = _Filling(folder, _Reading(files, config, tokenizer, reading), progress)
        filling.run(rule)
        return filling

    filling, rule = fill_splits(filled, SplitRule.of(config, sources))
    labels = sorted(filling.numbers.ids)
    if len(labels) == 1:
        raise UserError(
            f"A tagger needs words of two labels at least, but all of {sources['train'].name} have the label "
            f"{labels[0]!r}. Give other texts, or name their column with --config.data.tag_column."
        )
    form = "Give a word and its tag a line, and an empty line between two sentences."
    check_filled(filling.sentences, rule, sources, problems, "tagged sentence", form)
    return {
        **card_of(tokenizer, sources, sum(map(len, files.values())), problems),
        "labels": labels,
        "reading": dataclasses.asdict(reading),
        "splits": {name: filling.card(split) for split, name in enumerate(SPLITS)},
    }


class _Reading:
    """Tagged sentences, batch by batch, encoded by several processes where that pays."""

    def __init__(self, files: dict, config: DataConfig, tokenizer, reading: TagReading):
        self._files, self._config, self._reading = files, config, reading
        self._encode = functools.partial(encode_sentences, tokenizer, reading)
        self.bytes_read = 0
        self.total = sum(os.path.getsize(file.path) for some in files.values() for file in some)

    def encoded(self) -> Iterator[tuple[tuple[str, TaggedRows], EncodedSentences]]:
        """((split, rows), batch). The training corpus comes first: it has the label set."""
        return map_beside(self._encode, self._read(), self._config.workers)

    def _read(self) -> Iterator[tuple[tuple[str, TaggedRows], list[tuple[str, ...]]]]:
        for split in SPLITS:
            for file in self._files.get(split, ()):
                for batch in in_batches(tagged_sentences(file, self._config, self._count_read)):
                    rows = TaggedRows.of(file.path, batch, self._reading.scheme)
                    yield (split, rows), [sentence.words for sentence in batch]

    def _count_read(self, num_bytes: int):
        self.bytes_read += num_bytes


class _Filling:
    """One pass over all the sentences."""

    def __init__(self, folder: Path, reading: _Reading, progress):
        self._folder, self._reading, self._progress = folder, reading, progress
        self._tokens = TokenFiles(folder)
        self._tags = SplitFiles(folder, ("labels.bin", "sentence_starts.bin"))
        self.documents = self._tokens.documents
        self.sentences = np.zeros(len(SPLITS), np.int64)
        self.numbers = LabelNumbers(with_all_prefixes)
        self.smallest = SmallestHashes()
        self._shared = np.zeros(len(SPLITS), np.int64)
        self._by_label = [collections.Counter() for _ in SPLITS]
        self._seen = SeenHashes()
        self._is_closed = False

    def run(self, rule: SplitRule):
        with self._tokens, self._tags, contextlib.closing(self._reading.encoded()) as encoded:
            for (name, rows), batch in encoded:
                self._add(name, rows, batch, rule)
                if self._progress is not None:
                    self._progress("tokenize", self._reading.bytes_read, self._reading.total)
        self.numbers.close()
        self.numbers.sort(self._folder)

    def _add(self, name: str, rows: TaggedRows, batch: EncodedSentences, rule: SplitRule):
        hashes = batch.windows.hashes
        sentence_hashes = hashes[batch.is_first]
        if name == "train":
            label_ids = self.numbers.of_training(rows.tags)
            splits = rule.split_of(hashes)
            self._seen.add(sentence_hashes[splits[batch.is_first] == TRAIN])
            self.smallest.add(hashes[splits == TRAIN])
        else:
            if not self._is_closed:
                self.numbers.close()
                self._is_closed = True
            label_ids = known_ids(rows.path, rows.lines, rows.tags, self.numbers.ids)
            splits = np.full(len(hashes), SPLITS.index(name))
            self._shared[SPLITS.index(name)] += np.count_nonzero(
                self._seen.contains(sentence_hashes)
            )
        labels = batch.labels(label_ids)
        for split in np.unique(splits):
            self._write(int(split), batch, labels, splits == split)

    def _write(self, split: int, batch: EncodedSentences, labels: np.ndarray, keep: np.ndarray):
        """Appends the windows that `keep`, bool (n,), says to the files of a split."""
        starts = self.documents[split] + np.flatnonzero(batch.is_first[keep])
        labels = labels[np.repeat(keep, batch.windows.lengths)]
        self._tags.write(split, labels, starts.astype(np.int64))
        self._tokens.append(split, batch.windows, keep)
        self.sentences[split] += len(starts)
        self._by_label[split].update(labels[labels >= 0].tolist())

    def card(self, split: int) -> dict:
        """What was counted about one split."""
        by_label = self._by_label[split]
        return {
            **self._tokens.card(split),
            "sentences": int(self.sentences[split]),
            "duplicates_removed": 0,
            "shared_removed": 0,
            "shared_with_train": int(self._shared[split]),
            "by_label": {name: by_label[i] for name, i in sorted(self.numbers.ids.items())},
        }
