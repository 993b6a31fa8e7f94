"""Pairs of texts, a source and its target, read from the files in which data sets are published.

    --corpus=train.de,train.en          two files, the source's first: line n of one is the translation of line n
    --corpus=pairs.tsv                  source<TAB>target a line; columns behind them are passed over
    --corpus=rows.csv                   the columns named "source" and "target", else the first two; or those of
                                        --config.data.source_column and --config.data.target_column
    --corpus=rows.jsonl                 the fields "source" and "target", or those that the two flags name
    --corpus=folder/                    all its .tsv, .csv, .jsonl and .txt

Every file may be compressed (.gz, .xz, .bz2, .zst). A column is a name in the first row, or a number from 0, and then
there is no row of names. By flags alone, as they were published:

    Multi30k      --corpus=train.de.gz,train.en.gz --config.data.validation_corpus=val.de.gz,val.en.gz
    Tatoeba       --corpus=cmn.txt                      English, Chinese, attribution; the other way round
                                                        --config.data.source_column=1 --config.data.target_column=0
    CSL titles    --corpus=csl_title.train.tsv          title, abstract: source_column=1, target_column=0
                  --corpus=csl_benchmark_ts.dev.tsv     prompt, abstract, title: source_column=1, target_column=2
    SAMSum        --corpus=train.csv                    id, dialogue, summary: source_column=dialogue,
                                                        target_column=summary

Where no validation or test corpus is named, the hash of the source decides the split of a pair, so that no source is
both trained on and tested. White space around a text is no part of it. A wrong row is an error that names the file and
the line; a pair of which one side is empty is no error, but nothing can be learned from it: whoever reads here drops
and counts it.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

from tflm.data.corpora import DataConfig, SourceFile
from tflm.data.documents import raw_lines
from tflm.data.readers import (
    BadFile,
    column_place,
    csv_rows,
    json_records,
    json_text,
    text_blocks,
    tsv_rows,
    wrong_line,
)

NAMES = ("source", "target")


@dataclasses.dataclass(frozen=True)
class ParallelText:
    """`line` is where it ends in its file, from 1."""

    source: str
    target: str
    line: int

    @property
    def is_empty(self) -> bool:
        """Whether a side is missing."""
        return not (self.source and self.target)

    @property
    def text(self) -> str:
        """Both sides, as a tokenizer for both learns from them."""
        return f"{self.source}\n{self.target}"


def parallel_texts(unit: tuple[SourceFile, ...], config: DataConfig, on_read=None):
    """The pairs of one table, or of two parallel files, in order; also those of which a side is empty.

    Args:
        unit: a table, or two files; see `ParallelCorpus`.
        config: `encoding`, and the columns.
        on_read: told of the bytes read, for progress.

    Yields:
        ParallelText.

    Raises:
        BadFile: for a file that is no text, the first row that is wrong, and two files of which one has more lines.
    """
    blocks = [text_blocks(f.path, f.compression, config.encoding, on_read) for f in unit]
    if len(unit) == 2:
        return _of_lines([file.path for file in unit], [raw_lines(block) for block in blocks])
    (file,), (block,) = unit, blocks
    if file.format == ".jsonl":
        return _of_records(file.path, json_records(file.path, block), config)
    if file.format == ".csv":
        return _of_table(file.path, csv_rows(file.path, block), config, ",")
    return _of_table(file.path, tsv_rows(block), config, "\t")


def _of_lines(paths: list[Path], lines: list[Iterator[str]]) -> Iterator[ParallelText]:
    for number, (source, target) in enumerate(itertools.zip_longest(*lines), 1):
        if source is None or target is None:
            counts = [
                number - (line is None) + sum(1 for _ in rest)
                for line, rest in zip((source, target), lines, strict=True)
            ]
            raise BadFile(
                f"{paths[0]} has {counts[0]:,} lines, but {paths[1]} has {counts[1]:,}. Give files with as many lines: "
                "line n of one belongs to line n of the other."
            )
        yield ParallelText(source.strip(), target.strip(), number)


def _of_records(path: Path, records, config: DataConfig) -> Iterator[ParallelText]:
    source = config.source_column or NAMES[0]
    target = config.target_column or NAMES[1]
    for number, record in records:
        yield ParallelText(
            json_text(path, number, record, source, "source_column").strip(),
            json_text(path, number, record, target, "target_column").strip(),
            number,
        )


def _of_table(path: Path, rows, config: DataConfig, separator: str) -> Iterator[ParallelText]:
    columns = None
    for number, row in rows:
        if not any(field.strip() for field in row):
            continue
        if columns is None:
            columns, width = _columns(path, number, row, config, separator), len(row)
            if columns.named:
                continue
        if len(row) != width:
            wanted = f"{width} columns, as in the first row"
            raise wrong_line(path, number, wanted, separator.join(row))
        yield ParallelText(row[columns.source].strip(), row[columns.target].strip(), number)


@dataclasses.dataclass(frozen=True)
class _Columns:
    """`named`: the first row holds names and no texts."""

    source: int
    target: int
    named: bool


def _columns(path: Path, number: int, row: list[str], config: DataConfig, separator: str):
    names = [name.strip() for name in row]
    wanted = (config.source_column, config.target_column)
    if wanted == ("", ""):
        lower = [name.lower() for name in names]
        if all(name in lower for name in NAMES):
            return _Columns(*map(lower.index, NAMES), named=True)
        if len(row) < 2:
            between = {"\t": "a tab", ",": "a comma"}[separator]
            wanted = f"a source and a target with {between} between them"
            raise wrong_line(path, number, wanted, row[0])
        return _Columns(0, 1, named=False)
    named = not all(column.isdecimal() for column in wanted)
    options = [f"{name}_column" for name in NAMES]
    places = (
        column_place(path, number, names, *pair) for pair in zip(wanted, options, strict=True)
    )
    return _Columns(*places, named=named)
