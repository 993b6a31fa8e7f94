"""Questions about contexts as token ids on disk, memory-mapped: the token store's sister, built and kept as it is.

    train.bin                   uint16 or uint32, `bos question eos context eos` of every window (passages.py)
    train.document_starts.bin   int64, where each window's bos stands
    train.segment_starts.bin    int32, which token of a window is the context's first
    train.labels.bin            int32, two for each window: which token is the answer's first, and which its last
    train.first_windows.bin     int64, the first window of each question; the others follow
    train.questions.jsonl       the questions, one a line
    train.question_starts.bin   int64, where each line begins

A set is used as it was published. Where a corpus is split by its content, a context goes into one split with all its
questions. Questions that nothing can be learned from, as the context has no such answer, are left out of the training
split alone, and counted.
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tflm.data import corpora
from tflm.data.corpora import SPLITS, DataConfig, SourceFile, files_at, readable
from tflm.data.duplicates import SeenHashes
from tflm.data.encode import in_batches
from tflm.data.encoded_questions import (
    ADDED_TOKENS,
    EncodedQuestions,
    QuestionLines,
    WindowLimits,
    encode_questions,
)
from tflm.data.questions import Question, questions
from tflm.data.split_files import SplitFiles, TokenFiles, card_of, check_filled
from tflm.data.split_in_memory import split_in_memory
from tflm.data.splits import TRAIN, SmallestHashes, SplitRule, fill_splits
from tflm.data.store import Store, StoreText, TokenSplit, mapped, store_of
from tflm.data.workers import map_beside
from tflm.errors import UserError

FORM = "Give questions in the form of SQuAD or CMRC 2018."
_FILES = (
    "segment_starts.bin",
    "labels.bin",
    "first_windows.bin",
    "questions.jsonl",
    "question_starts.bin",
)


@dataclasses.dataclass(frozen=True)
class QuestionSplit(TokenSplit):
    """A split of questions; a document is a window.

    Attributes:
        segment_starts: (num_documents,) int32, which token of a window is the context's first.
        labels: (num_documents, 2) int32, the places of an answer's first and last token in a window; 0 for none.
        first_windows: (num_questions,) int64, the first window of each question.
        questions: the questions themselves.
    """

    segment_starts: np.ndarray = None
    labels: np.ndarray = None
    first_windows: np.ndarray = None
    questions: QuestionLines = None

    @property
    def num_questions(self) -> int:
        return len(self.first_windows)

    @property
    def unknown_share(self) -> float:
        return self.num_unknown / max(len(self.tokens) - ADDED_TOKENS * self.num_documents, 1)

    def windows(self, first: int, last: int) -> TokenSplit:
        """The windows of questions `first` to `last` - 1, as a split of their own."""
        begin, end = (
            self.first_windows[i] if i < self.num_questions else self.num_documents
            for i in (first, last)
        )
        stop = self.document_starts[end] if end < self.num_documents else len(self.tokens)
        return dataclasses.replace(
            self,
            tokens=self.tokens[:stop],
            document_starts=self.document_starts[begin:end],
            num_documents=int(end - begin),
            segment_starts=self.segment_starts[begin:end],
            labels=self.labels[begin:end],
            first_windows=self.first_windows[first:last] - begin,
        )

    def release_pages(self):
        super().release_pages()
        self.questions.release_pages()


def fill_questions(
    folder: Path,
    sources: dict,
    config: DataConfig,
    tokenizer,
    progress=None,
    *,
    limits: WindowLimits,
) -> dict:
    """Writes the split files into the empty `folder` and returns the card, as `fill.fill` does.

    Raises:
        UserError: for a wrong question, and where a split that is wanted comes out empty.
        OSError: where the folder cannot be written.
    """
    files, problems = {}, []
    for split, corpus in sources.items():
        files[split], bad = readable(corpus, config, questions)
        problems += bad

    def filled(rule: SplitRule) -> _Filling:
        reading = _Reading(files, config, functools.partial(encode_questions, tokenizer, limits))
        filling = _Filling(folder, reading, progress)
        filling.run(rule)
        return filling

    filling, rule = fill_splits(filled, SplitRule.of(config, sources))
    left_out, note = int(filling.left_out[TRAIN]), ""
    if left_out:
        note = f" {left_out:,} whose answer is not in the context were left out."
    check_filled(filling.questions, rule, sources, problems, "question", FORM, note)
    return {
        **card_of(tokenizer, sources, sum(map(len, files.values())), problems),
        "limits": dataclasses.asdict(limits),
        "splits": {name: filling.card(split) for split, name in enumerate(SPLITS)},
    }


class QuestionStore(Store):
    """A store of questions.

    Attributes:
        card: as that of Store, of windows; with "limits", and for each split "questions", "question_bytes" (of their
            lines), "left_out", questions, and "shared_with_train", those whose context is also there.
    """

    room = "question_stores"

    @staticmethod
    def files(card: dict, name: str) -> dict[str, int]:
        counts = card["splits"][name]
        windows, questions = counts["documents"], counts["questions"]
        sizes = (4 * windows, 8 * windows, 8 * questions, counts["question_bytes"], 8 * questions)
        return Store.files(card, name) | dict(zip(_FILES, sizes, strict=True))

    def split(self, name: str) -> QuestionSplit:
        windows = super().split(name)
        paths = (self.folder / f"{name}.{file}" for file in _FILES)
        dtypes = ("int32", "int32", "int64", "uint8", "int64")
        segment_starts, labels, first_windows, lines, starts = map(mapped, paths, dtypes)
        return QuestionSplit(
            **vars(windows),
            segment_starts=segment_starts,
            labels=labels.reshape(-1, 2),
            first_windows=first_windows,
            questions=QuestionLines(lines, starts),
        )


def build_question_store(
    config: DataConfig,
    tokenizer,
    limits: WindowLimits | None = None,
    cache_folder=None,
    progress=None,
) -> QuestionStore:
    """The QuestionStore for these questions.

    Args:
        tokenizer: one that has `encode_with_offsets`.
        limits: how contexts are cut into windows.
        The others are those of `build_store`, and so are the errors.
    """
    limits, cache = limits or WindowLimits(), corpora.cache_folder(cache_folder)
    settings = {"limits": dataclasses.asdict(limits)}
    text = StoreText(config, tokenizer, cache, progress, settings=settings)
    fill = functools.partial(fill_questions, limits=limits)
    return store_of(text, cache, progress, QuestionStore, fill)


def question_split(
    path, tokenizer, limits: WindowLimits, config: DataConfig | None = None, progress=None
) -> QuestionSplit:
    """A file or folder as a split, in memory.

    Args:
        path: of questions.
        tokenizer: of the trained model.
        limits: how contexts are cut into windows.
        config: how to decode the text.
        progress: called as progress("tokenize", done, total) in bytes.

    Raises:
        UserError: for what cannot be read, holds no question, or has a wrong one.
    """
    config = dataclasses.replace(config or DataConfig(), workers=1)
    files = files_at(path, config, questions)
    reading = _Reading(
        {"train": files}, config, functools.partial(encode_questions, tokenizer, limits)
    )
    parts = []
    for _, batch in reading.encoded():
        parts.append(batch)
        if progress is not None:
            progress("tokenize", reading.bytes_read, reading.total)
    if not parts:
        raise UserError(f"{path} holds no question. {FORM}")
    return _in_memory(parts, tokenizer)


def split_of_questions(found: list[Question], tokenizer, limits: WindowLimits) -> QuestionSplit:
    """At least one question as a split, in memory."""
    batches = in_batches(found, _size)
    return _in_memory([encode_questions(tokenizer, limits, batch) for batch in batches], tokenizer)


def _in_memory(parts: list[EncodedQuestions], tokenizer) -> QuestionSplit:
    num_windows = np.concatenate([part.num_windows for part in parts])
    lines = [line for part in parts for line in part.lines]
    lengths = np.array([len(line) for line in lines], np.int64)
    return QuestionSplit(
        **vars(split_in_memory([part.windows for part in parts], tokenizer)),
        segment_starts=np.concatenate([part.segment_starts for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        first_windows=np.cumsum(num_windows) - num_windows,
        questions=QuestionLines(
            np.frombuffer(b"".join(lines), np.uint8), np.cumsum(lengths) - lengths
        ),
    )


@dataclasses.dataclass
class QuestionText:
    """A question or a context, for a tokenizer to be trained on; `context` decides the split."""

    text: str
    context: str


def question_texts(file: SourceFile, config: DataConfig, on_read=None) -> Iterator[QuestionText]:
    """The texts of a file: each context once where its questions stand together, and each question."""
    before = None
    for question in questions(file, config, on_read):
        if question.context != before:
            before = question.context
            yield QuestionText(before, before)
        yield QuestionText(question.question, before)


def describe_questions(card: dict) -> list[str]:
    """What the card of a QuestionStore has beyond that of a Store, a line for each split that is not empty."""
    limits = card["limits"]
    lines = [
        f"  windows of {limits['window_tokens']} tokens, one every {limits['doc_stride']}, with questions of up to "
        f"{limits['max_question_tokens']}; a document is a window"
    ]
    return lines + [
        f"  {name:<10} {split['questions']:,} questions, left out {split['left_out']:,} whose answer is not in the "
        f"context; the context of {split['shared_with_train']:,} is also in train"
        for name, split in card["splits"].items()
        if split["documents"]
    ]


def _size(question: Question) -> int:
    return len(question.question) + len(question.context)


class _Reading:
    """Questions, batch by batch, encoded by several processes where that pays."""

    def __init__(self, files: dict, config: DataConfig, encode):
        self._files, self._config, self._encode = files, config, encode
        self.bytes_read = 0
        self.total = sum(os.path.getsize(file.path) for some in files.values() for file in some)

    def encoded(self) -> Iterator[tuple[str, EncodedQuestions]]:
        """(split, batch)."""
        return map_beside(self._encode, self._read(), self._config.workers)

    def _read(self) -> Iterator[tuple[str, list[Question]]]:
        for split in SPLITS:
            for file in self._files.get(split, ()):
                for batch in in_batches(questions(file, self._config, self._count_read), _size):
                    yield split, batch

    def _count_read(self, num_bytes: int):
        self.bytes_read += num_bytes


class _Filling:
    """One pass over all the questions."""

    def __init__(self, folder: Path, reading: _Reading, progress):
        self._reading, self._progress = reading, progress
        self._tokens = TokenFiles(folder)
        self._files = SplitFiles(folder, _FILES)
        self.documents = self._tokens.documents
        self.smallest = SmallestHashes()
        self.questions, self.left_out, self._bytes, self._shared = np.zeros(
            (4, len(SPLITS)), np.int64
        )
        self._trained_on = SeenHashes()

    def run(self, rule: SplitRule):
        with self._tokens, self._files, contextlib.closing(self._reading.encoded()) as encoded:
            for name, batch in encoded:
                if name == "train":
                    splits = rule.split_of(batch.hashes)
                else:
                    splits = np.full(len(batch.hashes), SPLITS.index(name), np.int8)
                for split in np.unique(splits).tolist():
                    self._add(split, batch.only(splits == split))
                if self._progress is not None:
                    self._progress("tokenize", self._reading.bytes_read, self._reading.total)

    def _add(self, split: int, batch: EncodedQuestions):
        if split == TRAIN:
            self.left_out[split] += np.count_nonzero(~batch.teaches)
            batch = batch.only(batch.teaches)
            self._trained_on.add(batch.hashes)
            self.smallest.add(batch.hashes)
        else:
            self._shared[split] += np.count_nonzero(self._trained_on.contains(batch.hashes))
        if not batch.lines:
            return
        lengths = np.array([len(line) for line in batch.lines], np.int64)
        firsts = self.documents[split] + np.cumsum(batch.num_windows) - batch.num_windows
        starts = self._bytes[split] + np.cumsum(lengths) - lengths
        self._tokens.append(split, batch.windows, np.ones(len(batch.labels), bool))
        lines = np.frombuffer(b"".join(batch.lines), np.uint8)
        self._files.write(split, batch.segment_starts, batch.labels, firsts, lines, starts)
        self.questions[split] += len(batch.lines)
        self._bytes[split] += len(lines)

    def card(self, split: int) -> dict:
        """What was counted about one split."""
        return {
            **self._tokens.card(split, ADDED_TOKENS),
            "questions": int(self.questions[split]),
            "question_bytes": int(self._bytes[split]),
            "left_out": int(self.left_out[split]),
            "duplicates_removed": 0,
            "shared_removed": 0,
            "shared_with_train": int(self._shared[split]),
        }
