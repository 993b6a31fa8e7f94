"""Labelled texts, read from the files in which data sets are published: a text, or a pair, with its label a line.

    __label__pos a good film        fastText's own; `__label__a __label__b text` has several labels
    pos<TAB>a good film             or the text first; with a header ("label", "text") or without; .csv too
    1 a good film                   a whole number as label, as in SST
    {"text": "good", "label": 1}    .jsonl; a list has several labels

The first lines decide which it is. SST, SMS Spam, THUCNews and ChnSentiCorp read by themselves. Other tables by flags
(all of --config.data), where a column is a name in the first row or a number from 0:

    GLUE, MRPC      --label_column=Quality "--text_column=#1 String" "--second_text_column=#2 String"
    GLUE, RTE       --text_column=sentence1 --second_text_column=sentence2
    GLUE, CoLA      --label_column=1 --text_column=3                no names in the first row
    several labels  --label_separator=,                            the label column is split there; it may be empty

A wrong line is an error that names the file and the line: a set of which half is passed over in silence gives a figure
that nobody can compare.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from tflm.data.corpora import DataConfig, SourceFile, files_at
from tflm.data.documents import raw_lines
from tflm.data.readers import (
    BadFile,
    column_place,
    csv_rows,
    json_records,
    json_text,
    text_blocks,
    wrong_line,
)
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


@dataclasses.dataclass(frozen=True)
class LabelledExample:
    """What may have several labels or none, and a second text, else "". `line` is where it ends in its file, from 1."""

    labels: tuple[str, ...]
    text: str
    line: int
    second: str = ""


def labelled_texts(file: SourceFile, config: DataConfig, on_read=None) -> Iterator[LabelledText]:
    """The texts of a file of which each has one label, in order; see `labelled_examples`.

    Raises:
        UserError: where `config` asks for pairs or for several labels, and what `labelled_examples` raises.
    """
    wider = {"second_text_column": "pairs of texts", "label_separator": "several labels a text"}
    for field, what in wider.items():
        if getattr(config, field):
            raise UserError(
                f"--config.data.{field} is for {what}, which this objective does not learn from. Leave it out. "
                f"Received: {getattr(config, field)!r}."
            )
    return _with_one_label(file.path, labelled_examples(file, config, on_read))


def labelled_examples(
    file: SourceFile, config: DataConfig, on_read=None
) -> Iterator[LabelledExample]:
    """The labelled texts or pairs of one file, in order; blank lines are passed over.

    Args:
        file: what to read.
        config: `encoding`, `text_field` of JSONL, and the columns of a table.
        on_read: told of the bytes read, for progress.

    Raises:
        BadFile: for a file that is no text, and for the first line that is wrong.
    """
    if file.format == "python_docs":
        raise UserError("python_docs has no labels. Name a file of labelled texts with --corpus.")
    blocks = text_blocks(file.path, file.compression, config.encoding, on_read)
    if file.format == ".jsonl":
        return _of_records(file.path, json_records(file.path, blocks), config)
    if file.format == ".csv":
        rows = ((n, row) for n, row in csv_rows(file.path, blocks) if any(map(str.strip, row)))
        return _of_table(file.path, rows, config, ",")
    lines = _lines(blocks, config)
    first = next(lines, None)
    if first is None:
        return iter(())
    lines = itertools.chain([first], lines)
    if first[1].startswith(FASTTEXT_LABEL):
        return _of_lines(file.path, lines, _fasttext_line, f"{FASTTEXT_LABEL}x and a text", config)
    if file.format == ".tsv" or "\t" in first[1]:
        return _of_table(file.path, ((n, line.split("\t")) for n, line in lines), config, "\t")
    wanted = "a whole number as label and a text"
    return _of_lines(file.path, lines, _number_first, wanted, config)


def read_labelled(path, config: DataConfig | None = None) -> tuple[list[str], list[str]]:
    """The texts of a file or folder, and their labels, in order, in memory.

    Raises:
        UserError: for what cannot be read, holds no text, or has a wrong line.
    """
    config = config or DataConfig()
    files = files_at(path, config, labelled_texts)
    rows = [row for file in files for row in labelled_texts(file, config)]
    if not rows:
        raise UserError(f"{path} holds no labelled text. Give one a line: {FORMS}.")
    return [row.text for row in rows], [row.label for row in rows]


def _with_one_label(path: Path, examples: Iterable[LabelledExample]) -> Iterator[LabelledText]:
    for example in examples:
        if len(example.labels) != 1:
            received = " ".join([*(FASTTEXT_LABEL + c for c in example.labels), example.text])
            wanted = f"{FASTTEXT_LABEL}x and a text, one label for each"
            raise wrong_line(path, example.line, wanted, received)
        yield LabelledText(example.labels[0], example.text, example.line)


def _lines(blocks: Iterable[str], config: DataConfig) -> Iterator[tuple[int, str]]:
    # White space at an end is no part of a text; but a tab there may say that a text has no label.
    ends = "\r\n" if config.label_separator else None
    for number, line in enumerate(raw_lines(blocks), 1):
        if line.strip():
            yield number, line.strip(ends)


def _of_lines(path, lines, read, wanted: str, config: DataConfig) -> Iterator[LabelledExample]:
    if config.second_text_column:
        raise BadFile(
            f"{path} has no columns, so that --config.data.second_text_column={config.second_text_column} names none. "
            "Give pairs of texts as .tsv, .csv or .jsonl."
        )
    for number, line in lines:
        labels, text = read(line)
        if not all(labels) or not labels or not text.strip():
            raise wrong_line(path, number, wanted, line)
        yield LabelledExample(labels, text.strip(), number)


def _fasttext_line(line: str) -> tuple[tuple[str, ...], str]:
    words = line.replace("\t", " ").split(" ")
    is_label = [word.startswith(FASTTEXT_LABEL) for word in words]
    count = is_label.index(False) if False in is_label else len(words)
    if any(is_label[count:]):
        return (), ""
    labels = tuple(word.removeprefix(FASTTEXT_LABEL) for word in words[:count])
    return labels, " ".join(words[count:])


def _number_first(line: str) -> tuple[tuple[str, ...], str]:
    label, *text = line.split(None, 1)
    return ((label,), *text) if text and label.removeprefix("-").isdecimal() else ((), "")


def _of_records(path: Path, records, config: DataConfig) -> Iterator[LabelledExample]:
    for number, record in records:
        text = json_text(path, number, record, config.text_field, "text_field").strip()
        second = ""
        if column := config.second_text_column:
            second = json_text(path, number, record, column, "second_text_column").strip()
        labels = _record_labels(path, number, record, config)
        if not text or (config.second_text_column and not second):
            raise wrong_line(path, number, "a text that is not empty", str(record))
        yield LabelledExample(labels, text, number, second)


def _record_labels(path: Path, number: int, record: dict, config: DataConfig) -> tuple[str, ...]:
    headings = (name for name in record if name.lower() in LABEL_HEADINGS)
    field = config.label_column or next(headings, LABEL_HEADINGS[0])
    value = record.get(field)
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(v, str) or type(v) is int for v in values):
        wanted = f"a label, or a list of them, as {field!r} (--config.data.label_column)"
        raise wrong_line(path, number, wanted, str(record))
    labels = _labels_in(value, config) if isinstance(value, str) else tuple(map(str, values))
    if not labels and not (config.label_separator or isinstance(value, list)):
        raise wrong_line(path, number, f"a label as {field!r}", str(record))
    return labels


def _labels_in(field: str, config: DataConfig) -> tuple[str, ...]:
    parts = field.split(config.label_separator) if config.label_separator else [field]
    return tuple(part.strip() for part in parts if part.strip())


@dataclasses.dataclass(frozen=True)
class _Columns:
    """`width`: how many there are; `named`: the first row holds names and no texts."""

    label: int
    text: int
    second: int | None
    width: int
    named: bool


def _of_table(path: Path, rows, config: DataConfig, separator: str) -> Iterator[LabelledExample]:
    head, size = [], 0
    for number, row in rows:
        head.append((number, row))
        size += sum(map(len, row))
        if len(head) >= HEAD_ROWS or size >= HEAD_CHARACTERS:
            break
    if not head:
        return
    columns = _columns(path, head, config)
    texts = "a text" if columns.second is None else "two texts"
    wanted = f"a label and {texts}, in {columns.width} columns"
    for number, row in itertools.chain(head[columns.named :], rows):
        line = separator.join(row)
        if columns.width == 2 and separator == "\t":  # a text may hold tabs
            row = row[:1] + ["\t".join(row[1:])] if columns.label == 0 else _last_apart(row)
        if len(row) != columns.width:
            raise wrong_line(path, number, wanted, line)
        labels, text = _labels_in(row[columns.label], config), row[columns.text].strip()
        second = "" if columns.second is None else row[columns.second].strip()
        lacks = not text or (columns.second is not None and not second)
        if lacks or not (labels or config.label_separator):
            raise wrong_line(path, number, wanted, line)
        yield LabelledExample(labels, text, number, second)


def _columns(path: Path, head, config: DataConfig) -> _Columns:
    number, row = head[0]
    names = [name.strip() for name in row]
    headings = [i for i, name in enumerate(names) if name.lower() in LABEL_HEADINGS]
    if config.label_column:
        label = column_place(path, number, names, config.label_column, "label_column")
        wanted = (config.label_column, config.text_column, config.second_text_column)
        named = label in headings or any(w in names for w in wanted if w and not w.isdecimal())
    elif headings:
        label, named = headings[0], True
    elif config.second_text_column:
        raise BadFile(
            f"{path}, line {number}: no column is called label ({', '.join(names)[:200]}). "
            "Name the one that holds it with --config.data.label_column, or give its number from 0."
        )
    else:
        return _Columns(*_two_columns(head), None, 2, False)
    second = None
    if config.second_text_column:
        second = column_place(path, number, names, config.second_text_column, "second_text_column")
    if second is None and len(names) == 2:
        return _Columns(label, 1 - label, None, 2, named)
    text = column_place(path, number, names, config.text_column, "text_column")
    return _Columns(label, text, second, len(names), named)


def _last_apart(row: list[str]) -> list[str]:
    return ["\t".join(row[:-1]), row[-1]]


def _two_columns(head) -> tuple[int, int]:
    """The columns of label and text without a header: that of fewer different values is the label's."""
    first, last = ({row[i] for _, row in head} for i in (0, -1))
    return (1, 0) if len(last) < len(first) else (0, 1)
