"""Tagged sentences as windows of token ids, each with the words that count in it: of a store, or in memory.

Shapes: n windows, and all their tokens one after the other.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tflm.data.corpora import DataConfig, files_at
from tflm.data.duplicates import document_hash
from tflm.data.encode import COUNTS, EncodedBatch, in_batches, token_dtype
from tflm.data.label_numbers import known_ids
from tflm.data.split_in_memory import split_in_memory
from tflm.data.store import TokenSplit, release_pages
from tflm.data.tag_schemes import CONVERSIONS, convert
from tflm.data.tagged import tagged_sentences
from tflm.data.word_alignment import spaced, word_windows
from tflm.errors import UserError, unknown_name


@dataclasses.dataclass(frozen=True)
class TagReading:
    """How sentences become windows, and their tags labels.

    Attributes:
        window: tokens of a window at most, bos and eos counted.
        overlap: tokens that a window shares with the next one of its sentence at most.
        scheme: what tags become: "bio", "bioes", or "" for what they are.
    """

    window: int = 128
    overlap: int = 32
    scheme: str = ""

    def check(self, where: str = "") -> None:
        """Raises UserError for values that cannot be; `where` is put before a field's name."""
        if self.scheme not in CONVERSIONS:
            raise unknown_name(f"{where}scheme", self.scheme, CONVERSIONS)
        if not 0 <= self.overlap < self.window - 2:
            raise UserError(
                f"`{where}overlap` must be at least 0 and leave room in a window of {self.window} tokens, two of which "
                f"frame it. Received: {self.overlap}."
            )


@dataclasses.dataclass(frozen=True)
class TaggedSplit(TokenSplit):
    """A split of tagged sentences; a document is a window.

    Attributes:
        labels: (num_tokens,) int32, read-only: at the first token of a word its label, -1 elsewhere, and for a word
            that counts in another window. Those of a sentence, window by window, are its words in order.
        sentence_starts: (num_sentences,) int64, the number of each sentence's first window.
    """

    labels: np.ndarray = None
    sentence_starts: np.ndarray = None

    def release_pages(self):
        super().release_pages()
        release_pages(self.labels)


@dataclasses.dataclass
class EncodedSentences:
    """Sentences of a batch in windows.

    Attributes:
        windows: a document each; with the hash of its sentence. The counts of a sentence's text are those of its first.
        words: (total,) int32, at the first token of a word its number among those of the batch, -1 as in TaggedSplit.
        sentence_of: (n,) int64, ascending from 0.
    """

    windows: EncodedBatch
    words: np.ndarray
    sentence_of: np.ndarray

    def labels(self, label_ids: np.ndarray) -> np.ndarray:
        """(total,) int32, of the labels of the words of the batch."""
        return np.append(label_ids, -1).astype(np.int32)[self.words]

    @property
    def is_first(self) -> np.ndarray:
        """(n,) bool: the window begins a sentence."""
        return np.diff(self.sentence_of, prepend=-1) > 0


def encode_sentences(
    tokenizer, reading: TagReading, sentences: Sequence[Sequence[str]]
) -> EncodedSentences:
    """Sentences, each at least one word, in windows."""
    tokens, words, sentence_of, hashes, counts = [], [], [], [], []
    first_word = 0
    for number, sentence in enumerate(sentences):
        text = "".join(spaced(sentence))
        sizes = [len(text.encode("utf-8")), len(text), len(sentence)]
        for window in word_windows(tokenizer, sentence, reading.window, reading.overlap):
            numbers = np.full(len(window.token_ids), -1, np.int32)
            places = first_word + window.first_word + np.arange(len(window.heads))
            numbers[window.heads[window.own]] = places[window.own]
            unknown = np.count_nonzero(window.token_ids[1:-1] == tokenizer.unk_id)
            tokens.append(window.token_ids)
            words.append(numbers)
            sentence_of.append(number)
            hashes.append(document_hash(text))
            counts.append([*sizes, unknown])
            sizes = [0, 0, 0]
        first_word += len(sentence)
    windows = EncodedBatch(
        tokens=np.concatenate(tokens).astype(token_dtype(tokenizer.vocabulary_size)),
        lengths=np.array([len(ids) for ids in tokens], np.int64),
        hashes=np.array(hashes, np.uint64),
        counts=np.array(counts, np.int64),
    )
    return EncodedSentences(windows, np.concatenate(words), np.array(sentence_of, np.int64))


def tagged_split(
    path, tokenizer, labels: tuple[str, ...], reading: TagReading, config: DataConfig, progress=None
) -> TaggedSplit:
    """A file or folder as a split, in memory.

    Args:
        path: of tagged words.
        tokenizer: of the trained model.
        labels: that it knows, sorted.
        reading: as it was trained.
        config: how to decode the text.
        progress: called as progress("tokenize", done, None) with characters.

    Raises:
        UserError: for what cannot be read, a wrong row, a label that is not among `labels`.
    """
    ids, parts, done = {label: i for i, label in enumerate(labels)}, [], 0
    for file in files_at(path, config, tagged_sentences):
        for batch in in_batches(tagged_sentences(file, config)):
            rows = TaggedRows.of(file.path, batch, reading.scheme)
            encoded = encode_sentences(tokenizer, reading, [sentence.words for sentence in batch])
            parts.append((encoded, known_ids(rows.path, rows.lines, rows.tags, ids)))
            done += int(encoded.windows.counts[:, COUNTS.index("characters")].sum())
            if progress is not None:
                progress("tokenize", done, None)
    if not parts:
        raise UserError(f"{path} holds no tagged word. Give a word and its tag a line.")
    return _in_memory(tokenizer, parts)


def untagged_split(
    sentences: Sequence[Sequence[str]], tokenizer, reading: TagReading
) -> TaggedSplit:
    """Sentences, each at least one word, as a split, in memory; their labels are all 0."""
    encoded = encode_sentences(tokenizer, reading, sentences)
    return _in_memory(tokenizer, [(encoded, np.zeros(sum(map(len, sentences)), np.int32))])


def _in_memory(tokenizer, parts: list[tuple[EncodedSentences, np.ndarray]]) -> TaggedSplit:
    split = split_in_memory([encoded.windows for encoded, _ in parts], tokenizer)
    is_first = np.concatenate([encoded.is_first for encoded, _ in parts])
    return TaggedSplit(
        **vars(split),
        labels=np.concatenate([encoded.labels(ids) for encoded, ids in parts]),
        sentence_starts=np.flatnonzero(is_first),
    )


@dataclasses.dataclass
class TaggedRows:
    """The tags of the words of a batch, and the line where each one's sentence begins."""

    path: object
    lines: list[int]
    tags: list[str]

    @classmethod
    def of(cls, path, sentences: Iterable, scheme: str) -> "TaggedRows":
        """Of TaggedSentences."""
        lines, tags = [], []
        for sentence in sentences:
            tags += convert(sentence.tags, scheme)
            lines += [sentence.line] * len(sentence.tags)
        return cls(path, lines, tags)
