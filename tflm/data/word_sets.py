"""What word vectors are measured on, read from the files as their authors publish them.

Similarity sets     word, word, score, between tabs, commas or white space (WS-353, SimLex-999, MEN, SimVerb, RW, ...)
Analogies           questions-words.txt: ": category", then four words a line (CA8, BATS in this form, ...)
(Labelled texts are read by labelled.py.)

Files are UTF-8, with any line ends, and may be compressed (.gz, .xz, .bz2, .zst). A wrong row is an error that
names the file and the line: a set of which half is passed over in silence gives a figure that nobody can compare.
"""

import csv
import lzma
import math
import zlib
from collections.abc import Iterator
from pathlib import Path

from tflm.data.readers import DECOMPRESSORS
from tflm.errors import UserError


def read_similarity(path) -> list[tuple[str, str, float]]:
    """The pairs of a similarity set: (word, word, score).

    The score is the first number behind the two words: SimLex-999 has the part of speech between them. Columns behind
    it are passed over, and so are lines that begin with # and a first line without a number there (a header).

    Raises:
        UserError: for a file that cannot be read, holds no pair, or has a row that is none.
    """
    lines = [(number, text) for number, text in _lines(path) if not text.startswith("#")]
    split = _splitter([text for _, text in lines[:2]])
    column = next(filter(None, (_score_column(split(text)) for _, text in lines[1::-1])), None)
    pairs = []
    for place, (number, text) in enumerate(lines):
        fields = [field.strip() for field in split(text)]
        score = _number(fields[column]) if column is not None and column < len(fields) else None
        if score is None and place == 0:
            continue  # a header
        if score is None or not fields[0] or not fields[1]:
            raise _wrong_row(path, number, "two words and a score", text)
        pairs.append((fields[0], fields[1], score))
    if not pairs:
        raise UserError(f"{path} holds no pair of words. Give one pair a line: word, word, score.")
    return pairs


def _splitter(lines: list[str]):
    """How the fields of a line are told apart; the last of `lines` decides, the first may be a header."""
    row = lines[-1] if lines else ""
    if "\t" in row:
        return lambda line: line.split("\t")
    if "," in row:
        return lambda line: next(csv.reader([line], skipinitialspace=True))
    return str.split


def _score_column(fields: list[str]) -> int | None:
    return next((i for i in range(2, len(fields)) if _number(fields[i]) is not None), None)


def _number(field: str) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_analogies(path) -> dict[str, list[tuple[str, str, str, str]]]:
    """The questions of an analogy set by category: a is to b as c is to d, as (a, b, c, d).

    A category may go on in several places. Questions before the first header are those of the file's own name.

    Raises:
        UserError: for a file that cannot be read, holds no question, or has a row that is none.
    """
    categories = {}
    category = Path(path).name.split(".")[0]
    for number, text in _lines(path):
        if text.startswith((":", "：")):  # the second is the full-width one of Chinese keyboards
            category = text[1:].strip()
            if not category:
                raise _wrong_row(path, number, "the name of a category behind the colon", text)
        elif not text.startswith("#"):
            words = text.split()
            if len(words) != 4:
                raise _wrong_row(path, number, "four words", text)
            categories.setdefault(category, []).append(tuple(words))
    if not categories:
        raise UserError(
            f"{path} holds no analogy. Give ': category' and then four words a line, as questions-words.txt has them."
        )
    return categories


def _lines(path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers, without white space at their ends."""
    try:
        text = _content(Path(path).expanduser()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8, first at byte {error.start}. Convert it to UTF-8."
        ) from error
    # Not splitlines(): a text may hold U+2028 and its like.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if line.strip():
            yield number, line.strip()


def _content(path: Path) -> bytes:
    unpack = DECOMPRESSORS.get(path.suffix, DECOMPRESSORS[""])
    try:
        with open(path, "rb") as raw:
            return b"".join(unpack(raw))
    except (EOFError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path} holds damaged {path.suffix} data ({error}).") from error
    except OSError as error:
        raise UserError(
            f"Cannot read {path}: {error.strerror or error}. Give a file that exists."
        ) from error


def _wrong_row(path, number: int, wanted: str, line: str) -> UserError:
    shown = line if len(line) <= 60 else line[:59] + "…"
    return UserError(f"{path}, line {number}: wanted {wanted}. Received: {shown!r}.")
