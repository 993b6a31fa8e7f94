"""What word vectors are measured on, read from the files as their authors publish them.

Similarity sets     word, word, score, between tabs, commas or white space (WS-353, SimLex-999, MEN, SimVerb, RW, ...)
Analogies           questions-words.txt: ": category", then four words a line (CA8, BATS in this form, ...)
Labelled texts      "label<TAB>text", "text<TAB>label", fastText's "__label__x text", or "0 text"

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

FASTTEXT_LABEL = "__label__"
LABEL_HEADINGS = ("label", "labels", "class", "category", "target")


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


def read_labelled(path) -> tuple[list[str], list[str]]:
    """The texts and their labels, in the order of the file.

    The first line decides the form. Between tabs the label is the first field, or the last one where that has fewer
    different values; a first line whose label is literally "label" is a header.

    Raises:
        UserError: for a file that cannot be read, holds no text, or has a row without a label or a text.
    """
    lines = list(_lines(path))
    first = lines[0][1] if lines else ""
    if first.startswith(FASTTEXT_LABEL):
        rows = _rows(path, lines, _fasttext_row, f"{FASTTEXT_LABEL}x and a text")
    elif "\t" in first:
        wanted = "a label and a text, with a tab between them"
        rows = _rows(path, lines, _label_first, wanted)
        last = _rows(path, lines, _label_last, wanted)
        if len({label for label, _ in last}) < len({label for label, _ in rows}):
            rows = last
        if rows[0][0].lower() in LABEL_HEADINGS:
            del rows[0]
    else:
        rows = _rows(path, lines, _number_first, "a whole number as label and a text")
    if not rows:
        raise UserError(
            f"{path} holds no labelled text. Give one a line: label, tab, text; or {FASTTEXT_LABEL}x text."
        )
    labels, texts = zip(*rows, strict=True)
    return list(texts), list(labels)


def _rows(path, lines, read, wanted: str) -> list[tuple[str, str]]:
    rows = []
    for number, text in lines:
        label, _, content = read(text)
        if not label.strip() or not content.strip():
            raise _wrong_row(path, number, wanted, text)
        rows.append((label.strip(), content.strip()))
    return rows


def _label_first(line: str) -> tuple[str, str, str]:
    return line.partition("\t")


def _label_last(line: str) -> tuple[str, str, str]:
    text, tab, label = line.rpartition("\t")
    return label, tab, text


def _fasttext_row(line: str) -> tuple[str, str, str]:
    label, space, text = line.replace("\t", " ").partition(" ")
    # One label a text: what is measured is the accuracy of one answer.
    if not label.startswith(FASTTEXT_LABEL) or text.lstrip().startswith(FASTTEXT_LABEL):
        return "", "", ""
    return label.removeprefix(FASTTEXT_LABEL), space, text


def _number_first(line: str) -> tuple[str, str, str]:
    label, space, text = line.partition(" ")
    return (label, space, text) if label.removeprefix("-").isdecimal() else ("", "", "")


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
