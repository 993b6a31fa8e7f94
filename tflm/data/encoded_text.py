"""The documents of the corpora as token ids, read in order and encoded by worker processes: all of them, or a share.

A share is what one of several machines does. Which one does what follows from the sizes of the files alone, so that
no machine has to ask another: small files are dealt out in ranges of about the same size, and the batches of a large
one go round. A large file is therefore read by every machine, which takes a small part of the time that encoding
takes, and encoded by all of them together.
"""

import dataclasses
import functools
import itertools
import os
from collections.abc import Iterator
from typing import NamedTuple

from tflm.data.corpora import SPLITS, Corpus, DataConfig, SourceFile, documents, readable
from tflm.data.encode import EncodedBatch, encode_documents, in_batches
from tflm.data.workers import map_beside

# A file is large where it is more than such a part of a share.
_PART_OF_A_SHARE = 4


class Share(NamedTuple):
    """One of `count` parts of the text, the `index`th."""

    index: int
    count: int


ALL = Share(0, 1)


class Place(NamedTuple):
    """Where a batch stands in the text; places are in reading order.

    Attributes:
        corpus: its number in CORPORA.
        file: the number, in the corpus, of the file that the batch's run of files begins with.
        batch: the number in the run, from 0 and without a gap.
    """

    corpus: int
    file: int
    batch: int

    @property
    def split(self) -> str:
        return CORPORA[self.corpus]


# The held-out corpora are read first: training documents are held against them.
CORPORA = tuple(reversed(SPLITS))


class _Run(NamedTuple):
    """Files that follow each other; `whole` where they belong to one share, else a single large file."""

    first: int
    files: tuple[SourceFile, ...]
    whole: bool


class EncodedText:
    """
    Attributes:
        problems: (corpus, number of the file) -> what is wrong with a file that is passed over.
        total: bytes to read.
        done: bytes read so far in this pass.
        activity: what a pass is, for whoever shows progress.
    """

    activity = "tokenize"

    def __init__(
        self, corpora: dict[str, Corpus], config: DataConfig, tokenizer, share: Share = ALL
    ):
        self._config, self._tokenizer, self._share = config, tokenizer, share
        self.problems: dict[tuple[str, int], str] = {}
        self.done = 0
        self._runs = {name: list(self._runs_of(corpus, name)) for name, corpus in corpora.items()}
        files = (file for runs in self._runs.values() for run in runs for file in run.files)
        self.total = sum(map(_size, files))

    def batches(self) -> Iterator[tuple[Place, EncodedBatch]]:
        """The batches of the share, in reading order; every call is a pass of its own over the text.

        Raises:
            BadFile: for a file that cannot be read as text, where `config.on_bad_file` is "error".
        """
        self.done = 0
        encode = functools.partial(encode_documents, self._tokenizer)
        return map_beside(encode, self._read(), self._config.workers)

    def _read(self) -> Iterator[tuple[Place, list[str]]]:
        for corpus, name in enumerate(CORPORA):
            for run in self._runs.get(name, ()):
                found = (documents(file, self._config, self._count) for file in run.files)
                for number, batch in enumerate(in_batches(itertools.chain.from_iterable(found))):
                    if run.whole or (run.first + number) % self._share.count == self._share.index:
                        texts = [document.text for document in batch]
                        yield Place(corpus, run.first, number), texts

    def _runs_of(self, corpus: Corpus, name: str) -> Iterator[_Run]:
        owners = _owners(corpus.files, self._share.count)

        def run_of(number: int) -> tuple:
            return owners[number], number if owners[number] is None else None

        for (owner, _), group in itertools.groupby(range(len(corpus.files)), run_of):
            if owner in (None, self._share.index):
                numbers = list(group)
                good = (corpus.files[n] for n in numbers if self._is_good(corpus, name, n))
                yield _Run(numbers[0], tuple(good), owner is not None)

    def _is_good(self, corpus: Corpus, name: str, number: int) -> bool:
        alone = dataclasses.replace(corpus, files=corpus.files[number : number + 1])
        good, problems = readable(alone, self._config)
        if problems:
            self.problems[name, number] = problems[0]
        return bool(good)

    def _count(self, num_bytes: int):
        self.done += num_bytes


def _owners(files: tuple[SourceFile, ...], count: int) -> list[int | None]:
    """For each file the share that reads and encodes it alone; None for a large one, which all read."""
    sizes = [_size(file) for file in files]
    largest = sum(sizes) / (_PART_OF_A_SHARE * count)
    small = max(sum(size for size in sizes if size <= largest), 1)
    owners, before = [], 0
    for size in sizes:
        if size > largest and count > 1:
            owners.append(None)
        else:
            owners.append(min(before * count // small, count - 1))
            before += size
    return owners


def _size(file: SourceFile) -> int:
    try:
        return os.path.getsize(file.path)
    except OSError:  # Reading it will say what is wrong.
        return 0
