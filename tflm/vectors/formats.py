"""The formats of the field by name, and the one of a file by what is in it."""

import dataclasses
import os
import re
from collections.abc import Callable

import numpy as np

from tflm.errors import UserError, unknown_name
from tflm.vectors import fasttext_bin, text_format, word2vec_binary
from tflm.vectors.streams import Source, written
from tflm.vectors.word_vectors import WordVectors


@dataclasses.dataclass(frozen=True)
class Format:
    """
    Attributes:
        ending: of a file's name, by custom.
        read: (source, limit, unicode_errors) -> WordVectors.
        write: (stream, names, table, progress), or None where there is nobody who would write it without the rest of
            its model.
    """

    ending: str
    read: Callable
    write: Callable | None


FORMATS = {
    "word2vec_text": Format(".txt", text_format.read_with_header, text_format.write_with_header),
    "word2vec_binary": Format(".bin", word2vec_binary.read, word2vec_binary.write),
    "glove": Format(".txt", text_format.read_without_header, text_format.write_without_header),
    "fasttext_vec": Format(".vec", text_format.read_with_header, text_format.write_with_header),
    "fasttext_bin": Format(".bin", fasttext_bin.read, None),
}
_UNICODE_ERRORS = ("strict", "replace", "ignore", "backslashreplace")
_SAMPLE_BYTES = 1 << 24
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]")
_SEPARATORS = re.compile("[\0\t\n\v\f\r ]")
_SHOWN = 5


def read(
    path, format=None, progress=None, limit: int | None = None, unicode_errors: str = "strict"
) -> WordVectors:
    """The word vectors of a file, plain or packed by gzip, bzip2 or xz.

    Memory is what is returned: rows are read straight into their table. For fasttext_bin that is two tables of words
    (their own rows, and with n-grams) and one of buckets.

    Args:
        path: the file.
        format: one of FORMATS; None finds out by the file's content.
        progress: called as progress(description, done, total).
        limit: only so many words, the first of the file.
        unicode_errors: what becomes of a word that is not UTF-8, such as one that word2vec.c cut within a character:
            "strict" for an error, else as in bytes.decode.

    Returns:
        WordVectors; `notes` says what a user should hear, such as how many words came twice.

    Raises:
        UserError: names the file, and the line or the byte where something is wrong.
    """
    if format is not None and format not in FORMATS:
        raise unknown_name("format of word vectors", format, FORMATS)
    if unicode_errors not in _UNICODE_ERRORS:
        raise unknown_name("`unicode_errors`", unicode_errors, _UNICODE_ERRORS)
    if limit is not None and limit < 1:
        raise UserError(f"`limit` must be at least 1. Received: {limit}.")
    if format is None:
        format = detect(path)
    with Source(path, progress) as source:
        vectors = FORMATS[format].read(source, limit, unicode_errors)
        source.finish()
    if not _finite(vectors.table):
        vectors.notes += ("Some vectors have numbers that are not finite; they are near no word.",)
    return vectors


def _finite(table, rows=1 << 14) -> bool:
    blocks = (table[start : start + rows] for start in range(0, len(table), rows))
    return all(np.isfinite(block).all() for block in blocks)


def detect(path) -> str:
    """The name in FORMATS of what a file begins with; word2vec's text for fastText's .vec, which is the same.

    Raises:
        UserError: where it is none of them.
    """
    with Source(path) as source:
        line = source.line(_SAMPLE_BYTES)
        if line.startswith(fasttext_bin.MAGIC):
            return "fasttext_bin"
        if not line:
            raise source.error("the file is empty; give one of word vectors")
        sizes = text_format.header(line)
        if sizes is not None:
            return _text_or_binary(source.line(_SAMPLE_BYTES))
        if text_format.guess_dim(line) is not None:
            return "glove"
        raise source.error(
            "this is no file of word vectors that is known here: it begins neither with "
            f'"N D" nor with a word and numbers; the formats are {", ".join(FORMATS)}'
        )


def _text_or_binary(line: bytes) -> str:
    """What follows word2vec's header: float32 are hardly ever all printable; numbers that are misspelt still are."""
    try:
        is_text = not _CONTROL.search((line.partition(b" ")[2] or line).decode("utf-8"))
    except UnicodeDecodeError:
        is_text = False
    return "word2vec_text" if is_text else "word2vec_binary"


def write(path, vectors: WordVectors, format=None, progress=None) -> tuple[str, ...]:
    """Writes a file that gensim, and whatever else reads the format, reads as the same words and float32.

    A word with a space, another separator of ASCII, or nothing in it cannot stand in any of these formats. It is
    written with `_` in its place, as published vectors have New_York, with more of them where that is a word already.
    A lone surrogate, which is no Unicode, becomes `?`.

    Args:
        path: the file; .gz, .bz2 or .xz at the end of its name packs it.
        vectors: what to write. Of `subword_rows` nothing is written, the words' vectors have them in it.
        format: one of FORMATS; None takes the one that the name's ending stands for: .vec fasttext_vec, .bin
            word2vec_binary, .txt word2vec_text.
        progress: called as progress("write vectors", done, total) with counts of words.

    Returns:
        What a user should hear, such as which words are written otherwise.

    Raises:
        UserError: for a format that is not written here, and where the file cannot be written.
    """
    name = format or _by_ending(path)
    if name not in FORMATS:
        raise unknown_name("format of word vectors", name, FORMATS)
    if FORMATS[name].write is None:
        raise UserError(
            f"{name} is only read here, since it holds a whole model. Write one of: "
            f"{', '.join(name for name, one in FORMATS.items() if one.write)}."
        )
    names, notes = _names(vectors.words)

    def report(done):
        if progress is not None:
            progress("write vectors", done, len(names))

    with written(path) as stream:
        FORMATS[name].write(stream, names, vectors.table, report)
    return notes


def _by_ending(path) -> str:
    stem = re.sub(r"\.(gz|bz2|xz)$", "", str(path).lower())
    ending = os.path.splitext(stem)[1]
    for name, one in FORMATS.items():
        if one.ending == ending:
            return name
    raise UserError(f"{path}: no format goes by this ending. Name one of: {', '.join(FORMATS)}.")


def _names(words: list[str]) -> tuple[list[bytes], tuple[str, ...]]:
    """The words as they can stand in a file, and what is to be said of that."""
    names, renamed = [], []
    taken = None
    for word in words:
        name = _SEPARATORS.sub("_", word) or "_"
        name = name.encode("utf-8", "replace").decode("utf-8")
        if name != word:
            taken = set(words) if taken is None else taken
            while name in taken:
                name += "_"
            taken.add(name)
            renamed.append(f"{word!r} as {name!r}")
        names.append(name.encode("utf-8"))
    if not renamed:
        return names, ()
    more = ", ..." if len(renamed) > _SHOWN else ""
    return names, (
        f"{len(renamed)} words cannot stand in this format as they are and are written otherwise: "
        f"{', '.join(renamed[:_SHOWN])}{more}.",
    )
