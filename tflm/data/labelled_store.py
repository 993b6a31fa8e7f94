"""Labelled texts as token ids and label ids on disk, memory-mapped: the token store's sister, built and kept as it is.

    train.bin                   uint16 or uint32, `bos, ids..., eos` of every text
    train.document_starts.bin   int64, where each text's bos stands
    train.labels.bin            int32, the place of each text's label in the sorted label set

The label set is that of the training corpus. A set is used as it was published: no text is left out because it comes
twice, or also stands in another split; the latter are counted.
"""

import collections
import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tflm.data.corpora import SPLITS, Corpus, DataConfig, files_at, readable
from tflm.data.duplicates import SeenHashes
from tflm.data.encode import COUNTS, EncodedBatch, encode_documents, in_batches
from tflm.data.label_numbers import LabelNumbers, known_ids
from tflm.data.labelled import FORMS, labelled_texts
from tflm.data.split_files import SplitFiles, TokenFiles, card_of, check_filled
from tflm.data.split_in_memory import split_in_memory
from tflm.data.splits import TRAIN, SmallestHashes, SplitRule, fill_splits
from tflm.data.store import Store, TokenSplit, build_store, mapped
from tflm.data.workers import map_beside
from tflm.errors import UserError


@dataclasses.dataclass(frozen=True)
class LabelledSplit(TokenSplit):
    """A split of texts with labels; a document is a text.

    Attributes:
        labels: (num_documents,) int32, read-only.
    """

    labels: np.ndarray = None


def write(folder: Path, sources: dict[str, Corpus], config: DataConfig, tokenizer, progress=None):
    """Writes the split files into the empty `folder` and returns the card, as `fill.fill` does.

    Raises:
        UserError: for a wrong line, a label that the training corpus lacks, fewer than two labels, an empty split.
        OSError: where the folder cannot be written.
    """
    files, problems = {}, []
    for split, corpus in sources.items():
        files[split], bad = readable(corpus, config, labelled_texts)
        problems += bad

    def filled(rule: SplitRule) -> _Filling:
        filling = _Filling(folder, files, config, tokenizer, progress)
        filling.run(rule)
        return filling

    filling, rule = fill_splits(filled, SplitRule.of(config, sources))
    _check(filling, rule, sources, problems)
    return {
        **card_of(tokenizer, sources, sum(map(len, files.values())), problems),
        "labels": sorted(filling.numbers.ids),
        "splits": {name: filling.card(split) for split, name in enumerate(SPLITS)},
    }


class LabelledStore(Store):
    """A store of labelled texts.

    Attributes:
        card: as that of Store, with "labels"; and for each split "shared_with_train" and "by_label", texts.
    """

    room = "labelled_stores"
    write = staticmethod(write)

    @staticmethod
    def files(card: dict, name: str) -> dict[str, int]:
        return Store.files(card, name) | {"labels.bin": card["splits"][name]["documents"] * 4}

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.card["labels"])

    def split(self, name: str) -> LabelledSplit:
        labels = self.folder / f"{name}.labels.bin"
        return LabelledSplit(**vars(super().split(name)), labels=mapped(labels, "int32"))


def build_labelled_store(config: DataConfig, tokenizer, cache_folder=None, progress=None):
    """The LabelledStore for these texts and this tokenizer; arguments and errors are those of `build_store`."""
    return build_store(config, tokenizer, cache_folder, progress, kind=LabelledStore)


def labelled_split(
    path, tokenizer, labels: tuple[str, ...], config: DataConfig, progress=None
) -> LabelledSplit:
    """A file or folder as a split, in memory.

    Args:
        path: of labelled texts.
        tokenizer: of the trained model.
        labels: that it knows, sorted.
        config: how to decode the text.
        progress: called as progress("tokenize", done, None) with characters.

    Raises:
        UserError: for what cannot be read, a wrong line, a label that is not among `labels`.
    """
    config = dataclasses.replace(config, workers=1)
    reading = _Reading({"train": files_at(path, config, labelled_texts)}, config, tokenizer)
    ids, parts, done = {label: i for i, label in enumerate(labels)}, [], 0
    for (_, rows), batch in reading.encoded():
        parts.append((batch, known_ids(rows.path, rows.lines, rows.labels, ids)))
        done += int(batch.counts[:, COUNTS.index("characters")].sum())
        if progress is not None:
            progress("tokenize", done, None)
    if not parts:
        raise UserError(f"{path} holds no labelled text. Give one a line: {FORMS}.")
    return _in_memory(tokenizer, [batch for batch, _ in parts], [known for _, known in parts])


def unlabelled_split(texts: list[str], tokenizer) -> LabelledSplit:
    """Texts as a split, in memory; their labels are all 0."""
    labels = np.zeros(len(texts), np.int32)
    return _in_memory(tokenizer, [encode_documents(tokenizer, texts)], [labels])


def _in_memory(tokenizer, batches: list[EncodedBatch], labels: list[np.ndarray]) -> LabelledSplit:
    split = split_in_memory(batches, tokenizer)
    return LabelledSplit(**vars(split), labels=np.concatenate(labels))


@dataclasses.dataclass
class _Rows:
    """Where the texts of a batch came from, and their labels."""

    path: Path
    lines: list[int]
    labels: list[str]


class _Reading:
    """Labelled texts, batch by batch, encoded by several processes where that pays."""

    def __init__(self, files: dict, config: DataConfig, tokenizer):
        self._files, self._config, self._tokenizer = files, config, tokenizer
        self.bytes_read = 0
        self.total = sum(os.path.getsize(file.path) for some in files.values() for file in some)

    def encoded(self) -> Iterator[tuple[tuple[str, _Rows], EncodedBatch]]:
        """((split, rows), batch). The training corpus comes first: it has the label set."""
        encode = functools.partial(encode_documents, self._tokenizer)
        return map_beside(encode, self._read(), self._config.workers)

    def _read(self) -> Iterator[tuple[tuple[str, _Rows], list[str]]]:
        for split in SPLITS:
            for file in self._files.get(split, ()):
                for batch in in_batches(labelled_texts(file, self._config, self._count_read)):
                    lines, labels = [row.line for row in batch], [row.label for row in batch]
                    yield (split, _Rows(file.path, lines, labels)), [row.text for row in batch]

    def _count_read(self, num_bytes: int):
        self.bytes_read += num_bytes


class _Filling:
    """One pass over all the texts."""

    def __init__(self, folder: Path, files: dict, config: DataConfig, tokenizer, progress):
        self._folder, self._progress = folder, progress
        self._reading = _Reading(files, config, tokenizer)
        self._tokens = TokenFiles(folder)
        self._labels = SplitFiles(folder, ("labels.bin",))
        self.documents = self._tokens.documents
        self.numbers = LabelNumbers()
        self.smallest = SmallestHashes()
        self._shared = np.zeros(len(SPLITS), np.int64)
        self._by_label = [collections.Counter() for _ in SPLITS]
        self._seen = SeenHashes()

    def run(self, rule: SplitRule):
        with self._tokens, self._labels, contextlib.closing(self._reading.encoded()) as encoded:
            for (name, rows), batch in encoded:
                for split, keep, labels in self._sorted_out(name, batch, rows, rule):
                    self._tokens.append(split, batch, keep)
                    self._labels.write(split, labels)
                    self._by_label[split].update(labels.tolist())
                if self._progress is not None:
                    self._progress("tokenize", self._reading.bytes_read, self._reading.total)
        self.numbers.sort(self._folder)

    def _sorted_out(self, name: str, batch: EncodedBatch, rows: _Rows, rule: SplitRule):
        """(split, bool (n,) which texts to write there, their labels' ids) for every split the batch touches."""
        if name != "train":
            split = SPLITS.index(name)
            self._shared[split] += np.count_nonzero(self._seen.contains(batch.hashes))
            known = known_ids(rows.path, rows.lines, rows.labels, self.numbers.ids)
            yield split, np.ones(len(batch.hashes), bool), known
            return
        labels = self.numbers.of_training(rows.labels)
        splits = rule.split_of(batch.hashes)
        for split in range(len(SPLITS)):
            if (keep := splits == split).any():
                yield split, keep, labels[keep]
        self._seen.add(batch.hashes[splits == TRAIN])
        self.smallest.add(batch.hashes[splits == TRAIN])

    def card(self, split: int) -> dict:
        """What was counted about one split."""
        by_label = self._by_label[split]
        return {
            **self._tokens.card(split),
            "duplicates_removed": 0,
            "shared_removed": 0,
            "shared_with_train": int(self._shared[split]),
            "by_label": {name: by_label[i] for name, i in sorted(self.numbers.ids.items())},
        }


def _check(filling: _Filling, rule: SplitRule, sources: dict[str, Corpus], problems: list[str]):
    if len(filling.numbers.ids) == 1:
        raise UserError(
            f"A classifier needs texts of two labels at least, but all of {sources['train'].name} have the label "
            f"{next(iter(filling.numbers.ids))!r}. Give other texts."
        )
    form = f"Give one a line: {FORMS}."
    check_filled(filling.documents, rule, sources, problems, "labelled text", form)
