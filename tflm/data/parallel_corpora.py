"""Which files a corpus of pairs is made of, and the texts of them that a tokenizer is trained on."""

import dataclasses
import operator
import os
from collections.abc import Iterator
from pathlib import Path

from tflm.data import corpora, training_texts
from tflm.data.corpora import SPLITS, Corpus, DataConfig, SourceFile
from tflm.data.parallel import ParallelText, parallel_texts
from tflm.errors import UserError, unknown_name

FORMS = "Give two files with as many lines, or a table: --corpus=train.de,train.en or --corpus=pairs.tsv."
SYNTHETIC = "synthetic"
SIDES = ("both", "source", "target")


@dataclasses.dataclass(frozen=True)
class ParallelCorpus(Corpus):
    """`in_twos`: `files` are the two sides of one text, not tables."""

    in_twos: bool = False

    @property
    def units(self) -> tuple[tuple[SourceFile, ...], ...]:
        """What `parallel_texts` takes: the two files, or each table."""
        return (self.files,) if self.in_twos else tuple((file,) for file in self.files)


def resolve(config: DataConfig, cache: Path, progress=None) -> dict[str, ParallelCorpus]:
    """As `corpora.resolve`, for pairs; also "synthetic" where there is such a corpus.

    Raises:
        UserError: for files that are not there, and a corpus that cannot have pairs.
    """
    corpora.check(config)
    if bool(config.source_column) != bool(config.target_column):
        raise UserError(
            "Give both --config.data.source_column and --config.data.target_column, or neither. Received: "
            f"{config.source_column!r} and {config.target_column!r}."
        )
    names = {"train": config.corpus, "validation": config.validation_corpus}
    names |= {"test": config.test_corpus, SYNTHETIC: config.synthetic_corpus}
    return {
        split: _corpus(name, config, cache, progress)
        for split, name in names.items()
        if name is not None
    }


def _corpus(name: str, config: DataConfig, cache: Path, progress) -> ParallelCorpus:
    if name == "python_docs":
        raise UserError(f"python_docs has no pairs of texts. {FORMS}")
    if "," in name and not Path(name).expanduser().exists():
        return ParallelCorpus(name, _two_files(name), in_twos=True)
    alone = dataclasses.replace(
        config,
        corpus=name,
        validation_corpus=None,
        test_corpus=None,
        source_column="",
        target_column="",
        synthetic_corpus=None,
        folds=0,
    )
    found = corpora.resolve(alone, cache, progress)["train"]
    return ParallelCorpus(found.name, found.files, found.skipped)


def _two_files(name: str) -> tuple[SourceFile, ...]:
    paths = [Path(part.strip()).expanduser() for part in name.split(",")]
    if len(paths) != 2:
        raise UserError(f"Parallel files are two, with a comma between them. Received: {name!r}.")
    for path in paths:
        if not path.is_file():
            raise UserError(f"Cannot read {path}: there is no such file. Give one that exists.")
    files = (corpora.source_file(path, path.name, ".txt") for path in paths)
    # Whatever the names end in, a line is a text.
    return tuple(dataclasses.replace(file, format="lines") for file in files)


def absolute(name: str) -> str:
    """The name of a corpus that leads to the same files from every folder: also that of two files."""
    parts = [name] if os.path.exists(name) else [part.strip() for part in name.split(",")]
    if all(os.path.exists(part) for part in parts):
        return ",".join(map(os.path.abspath, parts))
    return name


def read_parallel(path, config: DataConfig | None = None) -> list[ParallelText]:
    """The pairs at `path`, a corpus as `DataConfig.corpus` names one, in memory; without those that lack a side.

    Raises:
        UserError: for what cannot be read, holds no pair, or has a wrong row.
    """
    config = config or DataConfig()
    pairs = [pair for unit in units_at(path, config) for pair in parallel_texts(unit, config)]
    pairs = [pair for pair in pairs if not pair.is_empty]
    if not pairs:
        raise UserError(f"{path} holds no pair of texts. {FORMS}")
    return pairs


def units_at(path, config: DataConfig) -> tuple[tuple[SourceFile, ...], ...]:
    """What to read of the corpus `path`; UserError where there is none."""
    alone = dataclasses.replace(
        config, corpus=str(path), validation_corpus=None, test_corpus=None, synthetic_corpus=None
    )
    corpus = resolve(alone, corpora.cache_folder())["train"]
    return corpora.readable(corpus, config, parallel_texts)[0]


def parallel_training_texts(
    config: DataConfig, sample_bytes: int, seed: int, cache_folder=None, progress=None, side="both"
) -> Iterator[str]:
    """What a tokenizer of one side, or of both, is trained on; synthetic pairs are not among it.

    Args:
        side: "both" (a pair is one text, its sides in two lines), "source" or "target".
        The others are those of `training_texts.training_texts`, and so are the errors.
    """
    if side not in SIDES:
        raise unknown_name("side", side, SIDES)

    def read(unit, config, on_read=None):
        for pair in parallel_texts(unit, config, on_read):
            if not pair.is_empty:
                yield _Side(pair.text if side == "both" else getattr(pair, side), pair.source)

    return training_texts.training_texts(
        config,
        sample_bytes,
        seed,
        cache_folder,
        progress,
        read=read,
        resolve=_without_synthetic,
        owner=operator.attrgetter("source"),
    )


@dataclasses.dataclass(frozen=True)
class _Side:
    """What is learned from, and the source that decides the split."""

    text: str
    source: str


def _without_synthetic(config: DataConfig, cache: Path, progress=None):
    found = resolve(config, cache, progress)
    return {split: found[split] for split in SPLITS if split in found}
