"""What every tokenizer offers, and the two ways to get one: `train` and `load`.

The ids 0 to 3 are <pad>, <unk>, <s> and </s>, but for the kind "wordpiece", whose five special pieces are [PAD] [UNK]
[CLS] [SEP] [MASK] and stand where its vocabulary has them. Text never gives one of them, even where it contains "<s>"
literally; only what a tokenizer cannot spell becomes <unk>.

Importing this module imports neither TensorFlow nor sentencepiece.
"""

import abc
import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import pathlib
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tflm.errors import UserError, unknown_name
from tflm.text import normalize
from tflm.text.alignment import normalize_with_spans

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")
FILE_NAME = "tokenizer.json"
FORMAT_VERSION = 1
MAX_FILE_BYTES = 1 << 28  # a larger file is no tokenizer; refused before it fills the memory

# kind -> where its class is; a string keeps this import light.
KINDS = {
    "byte": "tflm.text.byte:ByteTokenizer",
    "character": "tflm.text.character:CharacterTokenizer",
    "word": "tflm.text.word:WordTokenizer",
    "sentencepiece": "tflm.text.sentencepiece:SentencePieceTokenizer",
    "wordpiece": "tflm.text.wordpiece:WordPieceTokenizer",
}


@dataclasses.dataclass
class TokenizerConfig:
    """How to make a tokenizer.

    Attributes:
        kind: one of KINDS.
        vocabulary_size: ids at most, the special ones included; a small corpus gives fewer.
            "byte" always has 260.
        algorithm: "unigram" or "bpe"; sentencepiece only.
        split: "words", "whitespace" or "jieba"; word only (see `word.py`).
        min_count: a rarer character or word is unknown; character and word only. Of wordpiece, a rarer character is
            unknown, and a rarer piece is made of shorter ones.
        uncased: lower case without accents, as the uncased models of BERT; wordpiece only.
        normalization: names of `normalize.STEPS`, in order.
        sample_bytes: UTF-8 bytes of text that the tokenizer is trained on, 0 for all there is (which
            "sentencepiece" would hold in memory); the caller of `train` keeps to it.
        load_from: the folder of a tokenizer, of a run, or of a published BERT (its vocab.txt or tokenizer.json), that
            is taken instead of a new one; whoever calls `train` sees to it. The other fields then count for nothing.
    """

    kind: str = "sentencepiece"
    vocabulary_size: int = 8000
    algorithm: str = "unigram"
    split: str = "words"
    min_count: int = 1
    uncased: bool = False
    normalization: tuple[str, ...] = ()
    sample_bytes: int = 20_000_000
    load_from: str | None = None


class Tokenizer(abc.ABC):
    """Text to ids and back. Instances can be pickled into worker processes.

    Attributes:
        pad_id, unk_id, bos_id, eos_id: of the special pieces; 0 to 3, unless a vocabulary has them elsewhere.
        mask_id: of what hides a token from a model that is to guess it; None where there is none.
    """

    kind: str
    pad_id, unk_id, bos_id, eos_id = PAD_ID, UNK_ID, BOS_ID, EOS_ID
    mask_id: int | None = None

    def __init__(self, normalization: Sequence[str] = ()):
        normalize.check_steps(normalization)
        self.normalization = tuple(normalization)

    @classmethod
    @abc.abstractmethod
    def train(cls, config: TokenizerConfig, texts: Iterable[str], map_batches, say) -> "Tokenizer":
        """A tokenizer for `texts`, which are not normalised; the arguments are those of `train` below."""

    @classmethod
    @abc.abstractmethod
    def from_description(cls, values: dict, folder: pathlib.Path) -> "Tokenizer":
        """The tokenizer of what `describe` gave; raises UserError where `values` are wrong."""

    @abc.abstractmethod
    def describe(self) -> dict:
        """JSON values that decide every id, without `kind` and `normalization`."""

    @property
    @abc.abstractmethod
    def vocabulary_size(self) -> int:
        """The number of ids."""

    @property
    @abc.abstractmethod
    def spells_everything(self) -> bool:
        """Whether decoding gives back any normalised text."""

    @abc.abstractmethod
    def _encode(self, texts: list[str]) -> list:
        """A sequence of ids for every normalised text."""

    def _encode_with_offsets(self, text: str) -> tuple:
        """The ids of a normalised text, and (T, 2) where in it each stands; see `encode_with_offsets`."""
        raise UserError(
            f"A tokenizer of the kind {self.kind!r} cannot say where in a text its tokens stand. "
            "Choose another with --config.tokenizer.kind."
        )

    @abc.abstractmethod
    def _decode(self, ids: list[int]) -> str:
        """The text of ids below the vocabulary size, among which `unk_id` is the only special one."""

    @abc.abstractmethod
    def piece(self, token_id: int) -> str:
        """A printable name for the token."""

    @abc.abstractmethod
    def token_id(self, piece: str) -> int | None:
        """The id of a piece, given as in the text or as `piece` prints it; None if unknown."""

    @abc.abstractmethod
    def in_graph(self):
        """A tf.Module with `tokenize` and `detokenize`; see `in_graph.py`."""

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids of the special pieces in their order: pad, unk, bos, eos, and mask where there is one."""
        ids = (self.pad_id, self.unk_id, self.bos_id, self.eos_id)
        return ids if self.mask_id is None else (*ids, self.mask_id)

    @property
    def lossless(self) -> bool:
        """Whether `decode(encode(text)) == text` for every text without lone surrogates."""
        return self.spells_everything and not self.normalization

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; neither <s> nor </s> is added."""
        return [int(token_id) for token_id in self.encode_batch([text])[0]]

    def encode_batch(self, texts: Sequence[str]) -> list:
        """A list or integer array of ids for every text."""
        return self._encode([normalize.normalize(text, self.normalization) for text in texts])

    def encode_with_offsets(self, text: str) -> tuple[list[int], np.ndarray]:
        """The ids of `text`, and where in it each of them stands.

        Returns:
            ids: those of `encode`, T of them.
            offsets: (T, 2) int32. Token t is about `text[offsets[t, 0] : offsets[t, 1]]`, which is never empty. A token
                that is a part of a character, such as a byte, has the whole character; so has one that came from a
                part of what normalization made of it.

        Raises:
            UserError: by a kind of tokenizer that cannot say.
        """
        normalized, spans = normalize_with_spans(text, self.normalization)
        ids, offsets = self._encode_with_offsets(normalized)
        offsets = np.asarray(offsets, np.int32).reshape(-1, 2)
        offsets = np.stack([spans[offsets[:, 0], 0], spans[offsets[:, 1] - 1, 1]], axis=1)
        return [int(token_id) for token_id in ids], offsets

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, without special ones but <unk>; an id out of range counts as <unk>."""
        kept, dropped = [], {*self.special_ids} - {self.unk_id}
        for token_id in map(int, ids):
            if token_id not in dropped:
                kept.append(token_id if 0 <= token_id < self.vocabulary_size else self.unk_id)
        return self._decode(kept)

    def fingerprint(self) -> str:
        """32 hexadecimal digits that change with anything that decides the ids."""
        content = json.dumps([self._content(), self._versions()], sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()[:32]

    def save(self, folder) -> None:
        """Writes `tokenizer.json` (and the kind's own files) into `folder`."""
        text = json.dumps(self._content(), ensure_ascii=False, indent=1)
        write_file(pathlib.Path(folder) / FILE_NAME, (text + "\n").encode())

    def _versions(self) -> dict:
        """Versions of what else decides the ids."""
        if any(name in normalize.UNICODE_VERSIONED for name in self.normalization):
            return {"unicode": unicodedata.unidata_version}
        return {}

    def _content(self) -> dict:
        return {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "normalization": list(self.normalization),
            **self.describe(),
        }


def in_this_process(function, batches: Iterable) -> Iterator:
    """function(batch) of every batch, in order."""
    for batch in batches:
        yield function(batch)


def train(
    config: TokenizerConfig,
    texts: Iterable[str],
    map_batches=in_this_process,
    say=warnings.warn,
) -> Tokenizer:
    """A new tokenizer from a stream of texts.

    Args:
        config: how to make it.
        texts: to make it for; characters and words are counted as the texts come.
        map_batches: by whom they are counted. It does what `in_this_process` does;
            `tflm.data.workers.map_batches` does it with several processes, with the same result.
        say: told, in one line, where there are so many different words that rare ones were forgotten.

    Raises:
        UserError: for an unknown name or impossible number in `config`, and where `texts` hold
            nothing to learn from.
    """
    tokenizer_class = _class_of(config.kind)
    normalize.check_steps(config.normalization)
    if config.min_count < 1:
        raise UserError(f"`min_count` must be at least 1. Received: {config.min_count}.")
    if config.sample_bytes < 0:
        raise UserError(
            f"`sample_bytes` must be 0, for all the text, or more. Received: {config.sample_bytes}."
        )
    return tokenizer_class.train(config, texts, map_batches, say)


def load(folder) -> Tokenizer:
    """The tokenizer that `save` wrote into `folder`, or that of a published BERT (see `bert_files.py`).

    Raises:
        UserError: where a file is missing, unreadable, of another version or inconsistent; the
            message names it.
    """
    path = pathlib.Path(folder) / FILE_NAME
    if not path.exists() and path.with_name("vocab.txt").exists():
        return _published(path.parent)
    values = read_json(path)
    if isinstance(values, dict) and "model" in values and "format_version" not in values:
        return _published(path.parent)
    if not isinstance(values, dict) or values.get("format_version") != FORMAT_VERSION:
        version = values.get("format_version") if isinstance(values, dict) else None
        raise UserError(f"{path} must have format_version {FORMAT_VERSION}. Received: {version!r}.")
    del values["format_version"]
    try:
        tokenizer_class = _class_of(values.pop("kind", None))
        return tokenizer_class.from_description(values, path.parent)
    except UserError as error:
        # The files beside it name themselves.
        raise error if str(path.parent) in str(error) else UserError(f"{path}: {error}") from None


def _published(folder: pathlib.Path) -> Tokenizer:
    from tflm.text.bert_files import read_folder

    return read_folder(folder)


def _class_of(kind):
    if kind not in KINDS:
        raise unknown_name("tokenizer kind", kind, KINDS)
    module, name = KINDS[kind].split(":")
    return getattr(importlib.import_module(module), name)


def check_keys(values: dict, types: dict) -> None:
    """Raises UserError unless `values` has exactly the keys of `types`, each of its type."""
    for key in values:
        if key not in types:
            raise UserError(f"Unknown key {key!r}. Known keys: {', '.join(types)}.")
    for key, expected in types.items():
        if key not in values:
            raise UserError(f"The key {key!r} is missing.")
        if type(values[key]) is not expected:
            raise UserError(f"{key!r} must be {expected.__name__}. Received: {values[key]!r:.80}.")
    if not all(isinstance(name, str) for name in values["normalization"]):
        raise UserError(f"'normalization' must hold names. Received: {values['normalization']!r}.")


def printable(piece: str) -> str:
    """`piece` with control characters and white space written as <U+000A>."""
    if piece.isprintable() and " " not in piece:
        return piece
    return "".join(
        char if char.isprintable() and char != " " else f"<U+{ord(char):04X}>" for char in piece
    )


def no_text(kind: str) -> UserError:
    """What `train` raises where there is nothing to learn from."""
    return UserError(
        f"A {kind} tokenizer needs text to be trained on. Received: none; check the corpus and the normalization."
    )


def read_json(path: pathlib.Path):
    """The values of one of a tokenizer's files; UserError, naming it, where that fails."""
    try:
        return json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); restore it or train again.") from None


def read_file(path: pathlib.Path) -> bytes:
    """The bytes of one of a tokenizer's files; UserError, naming it, where that fails."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{path} is larger than {MAX_FILE_BYTES} bytes: not a tokenizer file.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The tokenizer's file {path} cannot be read ({error.strerror}); "
            "give the folder of a trained tokenizer."
        ) from None


def write_file(path: pathlib.Path, data: bytes) -> None:
    """Writes a file whole or not at all; UserError, naming it, where that fails."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise UserError(f"{path} cannot be written ({error.strerror}).") from None
