"""Which files a corpus is made of, and the documents in them, in a fixed order."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tflm.data import named, python_docs
from tflm.data.documents import CUTS, MAX_DOCUMENT_CHARACTERS, MIN_SECTION_BYTES, Document
from tflm.data.readers import (
    DECOMPRESSORS,
    FORMATS,
    BadFile,
    byte_blocks,
    text_blocks,
)
from tflm.errors import UserError, unknown_name

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass
class DataConfig:
    """What to read and how to cut and split it.

    Attributes:
        corpus: "python_docs", a name in `named.NAMED`, or a file or folder; of pairs of texts also two parallel files
            with a comma between them, the source's first.
        encoding: of plain text, JSONL and tables.
        on_bad_file: "error", or "skip" to leave out (and count) files that cannot be read as text.
        text_field: the field of a JSONL record that holds the text.
        text_column: the column of a .tsv or .csv file: a name in its first row, or a number from 0.
        documents: "section" cuts long texts (of records too) at paragraphs, "file" keeps a file (or a
            record) whole, "line" takes each line, without its end.
        section_bytes: the most UTF-8 bytes of a section.
        validation_fraction: of the documents, chosen by a hash of their content.
        test_fraction: the same.
        validation_corpus: a corpus that is the validation split, whole.
        test_corpus: a corpus that is the test split, whole.
        source_column, target_column: of pairs of texts, the columns of a table or the fields of JSONL: names, or
            numbers from 0; "" for those called source and target, else the first two. See `tflm.data.parallel`.
        synthetic_corpus: pairs of texts that are trained on beside those of `corpus`, and never in another split.
        folds, fold: of cross-validation: the validation split is the fold-th (from 0) of so many equal parts of what
            is not the test split; 0 folds for none. See `trainers.cross_validate`.
        label_column: of labelled texts, the column of a table or the field of JSONL that holds the label: a name, or a
            number from 0; "" for the one called label or the like. See `tflm.data.labelled`.
        label_separator: stands between several labels of one text in that column; "" where each has one.
        second_text_column: of labelled pairs of texts, the column or the field of the second; "" where there is none.
        word_column, tag_column: of tagged words, the columns of a word and its tag: numbers from 0, or below 0 counted
            from the last. See `tflm.data.tagged`.
        workers: processes that tokenize; 0 for as many as there are cores.
    """

    corpus: str = "python_docs"
    encoding: str = "utf-8"
    on_bad_file: str = "error"
    text_field: str = "text"
    text_column: str = "text"
    documents: str = "section"
    section_bytes: int = 16384
    validation_fraction: float = 0.05
    test_fraction: float = 0.05
    validation_corpus: str | None = None
    test_corpus: str | None = None
    folds: int = 0
    fold: int = 0
    workers: int = 0
    source_column: str = ""
    target_column: str = ""
    synthetic_corpus: str | None = None
    label_column: str = ""
    label_separator: str = ""
    second_text_column: str = ""
    word_column: int = 0
    tag_column: int = -1


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file of a corpus: where it is, its name inside the corpus, its format and compression."""

    path: Path
    name: str
    format: str
    compression: str


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The files of one corpus in reading order; `skipped` counts those of unknown kind."""

    name: str
    files: tuple[SourceFile, ...]
    skipped: int = 0

    @property
    def units(self) -> tuple:
        """What is read at a time: each file; pairs of texts may come from two (parallel.py)."""
        return self.files


def check(config: DataConfig):
    """Raises UserError for the first field whose value makes no sense."""
    if config.documents not in CUTS:
        raise unknown_name("--config.data.documents", config.documents, CUTS)
    if config.on_bad_file not in ("error", "skip"):
        raise unknown_name("--config.data.on_bad_file", config.on_bad_file, ("error", "skip"))
    try:
        "".encode(config.encoding)
    except LookupError as error:
        raise UserError(
            f"--config.data.encoding must be an encoding of text. Received: {config.encoding!r}."
        ) from error
    if not MIN_SECTION_BYTES <= config.section_bytes <= MAX_DOCUMENT_CHARACTERS:
        raise UserError(
            f"--config.data.section_bytes must be in [{MIN_SECTION_BYTES}, {MAX_DOCUMENT_CHARACTERS}]. "
            f"Received: {config.section_bytes}."
        )
    fractions = (config.validation_fraction, config.test_fraction)
    if not (min(fractions) >= 0 and sum(fractions) < 1):
        raise UserError(
            "--config.data.validation_fraction and --config.data.test_fraction must not be negative "
            f"and must leave some of the corpus to train on. Received: {fractions[0]}, {fractions[1]}."
        )
    if config.folds and not (config.folds >= 2 and 0 <= config.fold < config.folds):
        raise UserError(
            "--config.data.folds must be 2 or more (0 for no cross-validation), and --config.data.fold below it. "
            f"Received: folds={config.folds}, fold={config.fold}."
        )
    if config.folds and config.validation_corpus is not None:
        raise UserError(
            "Cross-validation makes its validation splits of the corpus itself. Leave out "
            f"--config.data.validation_corpus. Received: {config.validation_corpus!r}."
        )
    if config.workers < 0:
        raise UserError(f"--config.data.workers must not be negative. Received: {config.workers}.")


def cache_folder(given: Path | str | None = None) -> Path:
    """`given`, else $TFLM_CACHE, else ~/.cache/tflm."""
    return Path(given or os.environ.get("TFLM_CACHE") or "~/.cache/tflm").expanduser()


def resolve(config: DataConfig, cache: Path, progress=None) -> dict[str, Corpus]:
    """The corpora that `config` names, by the split they are read for; downloads what is missing.

    "train" is always there and is split by hash; "validation" and "test" only where given, by
    `config` or by a named corpus with published splits.

    Raises:
        UserError: for an unknown name, a folder without text, no network.
    """
    check(config)
    for field in ("source_column", "target_column", "synthetic_corpus"):
        if getattr(config, field):
            raise UserError(
                f"--config.data.{field} is for pairs of texts, which this objective does not learn from. Leave it out. "
                f"Received: {getattr(config, field)!r}."
            )
    corpora = _corpora(config.corpus, cache, progress)
    for split, name in (("validation", config.validation_corpus), ("test", config.test_corpus)):
        if name is not None:
            corpora[split] = _corpora(name, cache, progress)["train"]
    if config.folds:
        corpora.pop("validation", None)  # a named corpus' own
    return corpora


def _corpora(name: str, cache: Path, progress) -> dict[str, Corpus]:
    if name == "python_docs":
        return {"train": _python_docs()}
    if name in named.NAMED:
        folder = cache / "corpora" / name
        return {
            split: Corpus(name, (source_file(named.download(file, folder, progress), "", ".txt"),))
            for split, file in named.NAMED[name].items()
        }
    path = Path(name).expanduser()
    if path.is_dir():
        return {"train": _folder(name, path)}
    if path.is_file():
        # A file that is named is wanted: without a known ending it is read as plain text.
        return {"train": Corpus(name, (source_file(path, path.name, ".txt"),))}
    known = ", ".join(["python_docs", *sorted(named.NAMED)])
    raise UserError(f"No such corpus: {name!r}. Give a file, a folder, or one of: {known}.")


def _python_docs() -> Corpus:
    library = python_docs.standard_library_folder()
    files = (
        SourceFile(path, path.relative_to(library).as_posix(), "python_docs", "")
        for path in python_docs.source_files(library)
    )
    return Corpus("python_docs", tuple(files))


def _folder(name: str, folder: Path) -> Corpus:
    files, skipped = [], 0
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts) or not path.is_file():
            continue
        file = source_file(path, relative.as_posix(), None)
        if file is None:
            skipped += 1
        else:
            files.append(file)
    if not files:
        raise UserError(
            f"No text in the folder {name!r}: no file ends in {', '.join(FORMATS)} (or these with "
            f"{', '.join(filter(None, DECOMPRESSORS))}); {skipped} files end in something else."
        )
    return Corpus(name, tuple(sorted(files, key=lambda file: file.name)), skipped)


def source_file(path: Path, name: str, default_format: str | None) -> SourceFile | None:
    """A file by the endings of its name; None for one of unknown kind where there is no `default_format`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in DECOMPRESSORS else ""
    kind = suffixes[-1] if suffixes and suffixes[-1] in FORMATS else default_format
    return None if kind is None else SourceFile(path, name or path.name, kind, compression)


def files_at(path, config: DataConfig, read) -> tuple[SourceFile, ...]:
    """The files of a file or folder to read (by `read(file, config)`); UserError where there is none."""
    if not Path(path).expanduser().exists():
        raise UserError(f"Cannot read {path}: there is no such file. Give one that exists.")
    config = dataclasses.replace(config, corpus=str(path), validation_corpus=None, test_corpus=None)
    return readable(resolve(config, cache_folder())["train"], config, read)[0]


def documents(
    file: SourceFile, config: DataConfig, on_read: Callable[[int], None] | None = None
) -> Iterator[Document]:
    """The documents of one file, in order; empty ones are left out.

    Raises:
        BadFile: where the file turns out not to be text, possibly after some documents.
    """
    cut = CUTS[config.documents]
    try:
        for blocks in _texts(file, config, on_read):
            for text in cut(blocks, config.section_bytes):
                yield Document(text, file.name)
    except BadFile:
        raise
    except UserError as error:
        raise BadFile(f"{file.path}: {error}") from error


def _texts(file: SourceFile, config: DataConfig, on_read):
    if file.format == "python_docs":
        source = b"".join(byte_blocks(file.path, file.compression, on_read))
        return ([text] for text in python_docs.texts(source, file.name))
    blocks = text_blocks(file.path, file.compression, config.encoding, on_read)
    return FORMATS[file.format](file.path, blocks, config)


def readable(corpus: Corpus, config: DataConfig, read=documents) -> tuple[tuple, list[str]]:
    """The units of `corpus` to read (by `read(unit, config)`), and what is wrong with the others.

    With on_bad_file="error" all are to be read, and the first bad one will raise on the way.
    With "skip" each is read to its end once, so that a bad one is left out whole, not cut in two.
    """
    if config.on_bad_file == "error":
        return corpus.units, []
    good, problems = [], []
    for unit in corpus.units:
        try:
            for _ in read(unit, config):
                pass
            good.append(unit)
        except BadFile as error:
            problems.append(str(error))
    return tuple(good), problems
