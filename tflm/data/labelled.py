"""Labelled texts, read from the files in which data sets are published: one text with one label a line.

    __label__pos a good film        fastText's own
    pos<TAB>a good film             or the text first; with a header ("label", "text") or without; .csv too
    1 a good film                   a whole number as label, as in SST

The first lines decide which it is. A wrong line is an error that names the file and the line: a set of which half is
passed over in silence gives a figure that nobody can compare.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from tflm.data import corpora
from tflm.data.corpora import DataConfig, SourceFile
from tflm.data.documents import raw_lines
from tflm.data.readers import BadFile, csv_rows, text_blocks, wrong_line
from tflm.errors import UserError

FASTTEXT_LABEL = "__label__"
LABEL_HEADINGS = ("label", "labels", "class", "category", "target")
# What is looked at before the form is decided.
HEAD_ROWS, HEAD_CHARACTERS = 1000, 1 << 20
FORMS = f"label, tab, text; text, tab, label; {FASTTEXT_LABEL}x text; or a number, a space, text"


@dataclasses.dataclass(frozen=True)
class LabelledText:
    """`line` is where it ends in its file, from 1."""

    label: str
    text: str
    line: int


def labelled_texts(file: SourceFile, config: DataConfig, on_read=None) -> Iterator[LabelledText]:
    """The labelled texts of one file, in order; blank lines are passed over.

    Args:
        file: what to read.
        config: `encoding`, and `text_column` where a table has a header.
        on_read: told of the bytes read, for progress.

    Raises:
        BadFile: for a file that is no text, and for the first line that is wrong.
    """
    if file.format == "python_docs":
        raise UserError("python_docs has no labels. Name a file of labelled texts with --corpus.")
    blocks = text_blocks(file.path, file.compression, config.encoding, on_read)
    if file.format == ".csv":
        rows = ((n, row) for n, row in csv_rows(file.path, blocks) if any(map(str.strip, row)))
        return _of_table(file.path, rows, config, ",")
    lines = _lines(blocks)
    first = next(lines, None)
    if first is None:
        return iter(())
    lines = itertools.chain([first], lines)
    if first[1].startswith(FASTTEXT_LABEL):
        return _of_lines(file.path, lines, _fasttext_line, f"{FASTTEXT_LABEL}x and a text")
    if file.format == ".tsv" or "\t" in first[1]:
        return _of_table(file.path, ((n, line.split("\t")) for n, line in lines), config, "\t")
    return _of_lines(file.path, lines, _number_first, "a whole number as label and a text")


def read_labelled(path, config: DataConfig | None = None) -> tuple[list[str], list[str]]:
    """The texts of a file or folder, and their labels, in order, in memory.

    Raises:
        UserError: for what cannot be read, holds no text, or has a wrong line.
    """
    config = config or DataConfig()
    rows = [row for file in files_at(path, config) for row in labelled_texts(file, config)]
    if not rows:
        raise UserError(f"{path} holds no labelled text. Give one a line: {FORMS}.")
    return [row.text for row in rows], [row.label for row in rows]


def files_at(path, config: DataConfig) -> tuple[SourceFile, ...]:
    """The files of a file or folder; UserError where there is none."""
    if not Path(path).expanduser().exists():
        raise UserError(f"Cannot read {path}: there is no such file. Give one that exists.")
    config = dataclasses.replace(config, corpus=str(path), validation_corpus=None, test_corpus=None)
    corpus = corpora.resolve(config, corpora.cache_folder())["train"]
    return corpora.readable(corpus, config, labelled_texts)[0]


def _lines(blocks: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(raw_lines(blocks), 1):
        if line := line.strip():
            yield number, line


def _of_lines(path, lines, read, wanted: str) -> Iterator[LabelledText]:
    for number, line in lines:
        label, text = read(line)
        yield _checked(path, number, label, text, wanted, line)


def _checked(path, number, label, text, wanted, line) -> LabelledText:
    label, text = label.strip(), text.strip()
    if not label or not text:
        raise wrong_line(path, number, wanted, line)
    return LabelledText(label, text, number)


def _fasttext_line(line: str) -> tuple[str, str]:
    label, *words = line.replace("\t", " ").split(" ")
    # One label a text: what is measured is the accuracy of one answer.
    if not label.startswith(FASTTEXT_LABEL) or any(w.startswith(FASTTEXT_LABEL) for w in words):
        return "", ""
    return label.removeprefix(FASTTEXT_LABEL), " ".join(words)


def _number_first(line: str) -> tuple[str, str]:
    label, *text = line.split(None, 1)
    return (label, *text) if text and label.removeprefix("-").isdecimal() else ("", "")


def _of_table(path: Path, rows, config: DataConfig, separator: str) -> Iterator[LabelledText]:
    head, size = [], 0
    for number, row in rows:
        head.append((number, row))
        size += sum(map(len, row))
        if len(head) >= HEAD_ROWS or size >= HEAD_CHARACTERS:
            break
    if not head:
        return
    has_header = any(field.strip().lower() in LABEL_HEADINGS for field in head[0][1])
    if has_header:
        label, text, columns = _named_columns(path, *head[0], config)
    else:
        label, text, columns = *_two_columns(head), 2
    for number, row in itertools.chain(head[has_header:], rows):
        line = separator.join(row)
        if columns == 2 and separator == "\t":  # a text may hold tabs
            row = [row[0], "\t".join(row[1:])] if label == 0 else ["\t".join(row[:-1]), row[-1]]
        fields = (row[label], row[text]) if len(row) == columns else ("", "")
        wanted = f"a label and a text, in {columns} columns"
        yield _checked(path, number, *fields, wanted, line)


def _named_columns(path: Path, number: int, header: list[str], config: DataConfig):
    """The columns of label and text under this header, and how many there are."""
    names = [name.strip() for name in header]
    label = next(i for i, name in enumerate(names) if name.lower() in LABEL_HEADINGS)
    if len(names) == 2:
        return label, 1 - label, 2
    if config.text_column.isdecimal() and int(config.text_column) < len(names):
        return label, int(config.text_column), len(names)
    if config.text_column not in names:
        raise BadFile(
            f"{path}, line {number}: no column {config.text_column!r} ({', '.join(names)[:200]}). Name the one that "
            "holds the text with --config.data.text_column."
        )
    return label, names.index(config.text_column), len(names)


def _two_columns(head) -> tuple[int, int]:
    """The columns of label and text without a header: that of fewer different values is the label's."""
    first, last = ({row[i] for _, row in head} for i in (0, -1))
    return (1, 0) if len(last) < len(first) else (0, 1)
