"""Sentences with a tag for each word, read from the files in which data sets are published.

    EU<TAB>B-ORG                    a word a line, its columns divided by tabs or by spaces; a line without anything
    rejects<TAB>O                   between two sentences. The word is in the first column and the tag in the last, or
                                    where --config.data.word_column and --config.data.tag_column say (from 0; below 0
                                    counted from the last)
    {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]}         a sentence a line, in .jsonl

By flags alone, as they were published:

    WNUT-17         --corpus=wnut17train.conll
    Weibo NER       --corpus=weiboNER_2nd_conll.train
    CoNLL-2003      --corpus=eng.train                             with --config.data.tag_column=1 its parts of speech
    OntoNotes 5.0   --corpus=train.gold_conll --config.data.word_column=3 --config.data.tag_column=10

What is no word: lines with -DOCSTART-, `#begin document` and `#end document`; where columns are divided by tabs also
comments as CoNLL-U has them, which stand before a sentence, begin with `# ` and hold no tab. (`#` itself and hashtags
are words, of WNUT-17 among others.) Weibo NER writes behind each character its place in a segmented word, "科0 技1",
up to two digits: where every word of a file is so, they are taken off. OntoNotes' `(ORG*`, `*` and `*)` become BIO; all
other tags stay as they are, see tag_schemes.py. A wrong row is an error that names the file and the line.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tflm.data.corpora import DataConfig, SourceFile, files_at
from tflm.data.documents import raw_lines
from tflm.data.readers import bad_file, json_records, text_blocks, wrong_line
from tflm.data.word_alignment import spaced
from tflm.errors import UserError

# What is looked at before it is decided whether digits and brackets belong to the words and tags.
HEAD_SENTENCES = 100
_DOCUMENT_MARKS = ("-DOCSTART-", "#begin document", "#end document")
_SPACES = re.compile("[ \t]+")
_PLACED = re.compile(r"([^0-9]+|[0-9])([0-9]{1,2})")
_BRACKETED = re.compile(r"\(([^()*]+)(?:\*|\)|\*\))|\*\)?")


@dataclasses.dataclass(frozen=True)
class TaggedSentence:
    """At least one word; `line` is where it begins in its file, from 1."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        """Running text, as a tokenizer learns from it."""
        return "".join(spaced(self.words))


def tagged_sentences(
    file: SourceFile, config: DataConfig, on_read=None
) -> Iterator[TaggedSentence]:
    """The sentences of one file, in order.

    Args:
        file: what to read.
        config: `encoding`, and the columns.
        on_read: told of the bytes read, for progress.

    Raises:
        BadFile: for a file that is no text, and for the first row that is wrong.
    """
    if file.format == "python_docs":
        raise UserError("python_docs has no tags. Name a file of tagged words with --corpus.")
    blocks = text_blocks(file.path, file.compression, config.encoding, on_read)
    if file.format == ".jsonl":
        return _of_records(file.path, json_records(file.path, blocks))
    return _of_columns(file.path, raw_lines(blocks), config)


def read_tagged(path, config: DataConfig | None = None) -> list[TaggedSentence]:
    """The sentences of a file or folder, in order, in memory.

    Raises:
        UserError: for what cannot be read, holds no word, or has a wrong row.
    """
    config = config or DataConfig()
    files = files_at(path, config, tagged_sentences)
    found = [sentence for file in files for sentence in tagged_sentences(file, config)]
    if not found:
        raise UserError(f"{path} holds no tagged word. Give a word and its tag a line.")
    return found


def _of_records(path: Path, records) -> Iterator[TaggedSentence]:
    for number, record in records:
        words, tags = (_strings(path, number, record, field) for field in ("tokens", "tags"))
        if len(words) != len(tags):
            raise bad_file(path, f"line {number} has {len(words)} tokens, but {len(tags)} tags")
        if words:
            yield TaggedSentence(words, tags, number)


def _strings(path: Path, number: int, record: dict, field: str) -> tuple[str, ...]:
    values = record.get(field)
    if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
        raise bad_file(
            path, f"line {number}: {field!r} must be a list of words, {values!r:.60} is not"
        )
    return tuple(values)


def _of_columns(path: Path, lines: Iterable[str], config: DataConfig) -> Iterator[TaggedSentence]:
    numbered = ((n, line.removesuffix("\n").removesuffix("\r")) for n, line in enumerate(lines, 1))
    sentences = _sentences(path, numbered, config)
    head = list(itertools.islice(sentences, HEAD_SENTENCES))
    sentences = itertools.chain(head, sentences)
    if _are_placed(head):
        sentences = _without_places(path, sentences)
    if head and all(_BRACKETED.fullmatch(tag) for s in head for tag in s.tags):
        sentences = _without_brackets(path, sentences)
    return sentences


def _sentences(path: Path, numbered, config: DataConfig) -> Iterator[TaggedSentence]:
    numbered, by_tabs = _divided_by_tabs(numbered)
    rows, width = [], None
    for number, line in numbered:
        if not line.strip() or line.startswith(_DOCUMENT_MARKS):
            yield from _sentence(rows)
            rows = []
        elif by_tabs and not rows and line.startswith("# ") and "\t" not in line:
            continue  # a comment
        else:
            row = line.split("\t") if by_tabs else _SPACES.split(line.strip(" \t"))
            width = width or len(row)
            rows.append((number, *_word_and_tag(path, number, line, row, width, config)))
    yield from _sentence(rows)


def _divided_by_tabs(numbered):
    """The same lines, and whether the first row among them holds a tab."""
    head = []
    for number, line in numbered:
        head.append((number, line))
        if line.strip() and not line.startswith((*_DOCUMENT_MARKS, "# ")):
            return itertools.chain(head, numbered), "\t" in line
    return iter(head), False


def _word_and_tag(path: Path, number: int, line: str, row: list[str], width: int, config):
    """OntoNotes has a column for each verb of a sentence, so that columns counted from the first may vary in number."""
    places = (config.word_column, config.tag_column)
    if len(row) == width or min(places) >= 0:
        word, tag = (row[i] if -len(row) <= i < len(row) else "" for i in places)
        if word and tag and len(row) > 1:
            return word, tag
    where = "in columns {} and {} of {} (--config.data.word_column, --config.data.tag_column)"
    raise wrong_line(
        path, number, f"a word and a tag, {where.format(*places, max(width, 2))}", line
    )


def _sentence(rows: list[tuple[int, str, str]]) -> Iterator[TaggedSentence]:
    if rows:
        numbers, words, tags = zip(*rows, strict=True)
        yield TaggedSentence(words, tags, numbers[0])


def _are_placed(sentences: list[TaggedSentence]) -> bool:
    """Whether all words end in their place in a longer word: 0, or one more than the last."""
    for sentence in sentences:
        before = -1
        for word in sentence.words:
            parts = _PLACED.fullmatch(word)
            if parts is None or int(parts[2]) not in (0, before + 1):
                return False
            before = int(parts[2])
    return bool(sentences)


def _without_places(path: Path, sentences) -> Iterator[TaggedSentence]:
    for sentence in sentences:
        parts = [_PLACED.fullmatch(word) for word in sentence.words]
        if None in parts:
            i = parts.index(None)
            wanted = "a character and its place in a word, as in the rows before"
            raise wrong_line(path, sentence.line + i, wanted, sentence.words[i])
        words = tuple(part[1] for part in parts)
        yield dataclasses.replace(sentence, words=words)


def _without_brackets(path: Path, sentences) -> Iterator[TaggedSentence]:
    for sentence in sentences:
        tags, open_type = [], None
        for i, tag in enumerate(sentence.tags):
            parts = _BRACKETED.fullmatch(tag)
            if parts is None or (parts[1] and open_type):
                wanted = "a tag such as (ORG*, * or *), one entity after the other"
                raise wrong_line(path, sentence.line + i, wanted, tag)
            if parts[1]:
                open_type = parts[1]
                tags.append(f"B-{open_type}")
            else:
                tags.append(f"I-{open_type}" if open_type else "O")
            if tag.endswith(")"):
                open_type = None
        yield dataclasses.replace(sentence, tags=tuple(tags))
