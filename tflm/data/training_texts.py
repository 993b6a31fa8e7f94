"""The training text, or a bounded sample of it, to train a tokenizer on before there are token ids."""

import heapq
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tflm.data import corpora
from tflm.data.corpora import SPLITS, DataConfig, documents, readable
from tflm.data.duplicates import SeenHashes
from tflm.data.encode import hash_documents
from tflm.data.free_memory import release_free_memory
from tflm.data.order import mix
from tflm.data.splits import TRAIN, SmallestHashes, SplitRule
from tflm.errors import UserError

_BATCH_DOCUMENTS = 256
_CHARACTERS_BETWEEN_RELEASES = 1 << 26


def training_texts(
    config: DataConfig,
    sample_bytes: int,
    seed: int,
    cache_folder: Path | str | None = None,
    progress=None,
    read=documents,
) -> Iterator[str]:
    """Different documents of the training split, at most `sample_bytes` of UTF-8, in reading order.

    Every document of the training split has the same chance to be in the sample; a text smaller than
    that is given whole. Documents of the validation and test split are never among them.

    Args:
        config: what to read, how to cut and split it.
        sample_bytes: the most to keep in memory and to give; 0 gives all documents as they are read,
            a few of them later.
        seed: of the choice.
        cache_folder: as for `build_store`.
        progress: called as progress(description, done, total) in bytes.
        read: read(file, config, on_read) -> what a file consists of, things with a `text`.

    Raises:
        UserError: for a corpus that cannot be read or holds no text.
    """
    sources = corpora.resolve(config, corpora.cache_folder(cache_folder), progress)
    rule = SplitRule.of(config, sources)
    held_out = SeenHashes()
    for split in SPLITS[1:]:
        if split in sources:
            for _, hashes in _hashed(sources[split], config, None, read):
                held_out.add(hashes)
    # The reading order's number tells which of equal documents came first, and restores the order.
    chosen, passed = _BoundedSample(sample_bytes, seed) if sample_bytes else _Everything(), 0
    smallest, counts = SmallestHashes(), np.zeros(len(SPLITS), dtype=np.int64)
    for texts, hashes in _hashed(sources["train"], config, progress, read):
        splits = rule.split_of(hashes)
        splits[held_out.contains(hashes)] = -1
        counts += [np.count_nonzero(splits == split) for split in range(len(SPLITS))]
        smallest.add(hashes[splits == TRAIN])
        places = np.flatnonzero(splits == TRAIN)
        yield from chosen.take(hashes[places], [texts[place] for place in places])
        passed += sum(map(len, texts))
        if passed >= _CHARACTERS_BETWEEN_RELEASES:
            release_free_memory()
            passed = 0
    release_free_memory()
    mended = rule.mended(counts, smallest)
    moved = {value for value, _ in mended.forced} if mended else set()
    texts = [text for value, text in chosen.left() if value not in moved]
    if not texts:
        raise UserError(f"The corpus {config.corpus!r} holds no text to train on.")
    if sample_bytes and len(texts) == 1:
        # One document may be larger than the sample.
        yield texts[0].encode("utf-8")[:sample_bytes].decode("utf-8", "ignore")
    else:
        yield from texts


class _Everything:
    """Every document, handed on at once, but for the few that `SplitRule.mended` may move to an empty split."""

    def __init__(self):
        self._seen = SeenHashes()
        self._left: dict[
            int, str
        ] = {}  # the smallest hashes so far, as many as SmallestHashes holds

    def take(self, hashes: np.ndarray, texts: list[str]) -> Iterator[str]:
        for place in np.flatnonzero(self._seen.add(hashes)):
            self._left[int(hashes[place])] = texts[place]
            if len(self._left) > len(SPLITS):
                yield self._left.pop(max(self._left))

    def left(self) -> Iterator[tuple[int, str]]:
        yield from self._left.items()


class _BoundedSample:
    """The documents with the lowest priorities, as many as fit.

    A priority is a function of the content, so equal documents meet: the second finds the first here,
    or finds that its priority is too high.
    """

    def __init__(self, sample_bytes: int, seed: int):
        self._sample_bytes = sample_bytes
        self._seed = seed
        self._size = 0
        self._heap: list[tuple[int, int, int, str]] = []  # (-priority, number, hash, text)
        self._hashes: set[int] = set()
        self._number = 0
        self._limit = 1 << 64

    def take(self, hashes: np.ndarray, texts: list[str]) -> tuple:
        """Nothing is handed on before the last document is seen."""
        priorities = mix(hashes, self._seed)
        for priority, value, text in zip(priorities, hashes, texts, strict=True):
            self._offer(int(priority), int(value), text)
        return ()

    def _offer(self, priority: int, value: int, text: str):
        self._number += 1
        if priority >= self._limit or value in self._hashes:
            return
        heapq.heappush(self._heap, (-priority, self._number, value, text))
        self._hashes.add(value)
        self._size += len(text.encode("utf-8"))
        while self._size > self._sample_bytes and len(self._heap) > 1:
            priority, _, value, text = heapq.heappop(self._heap)
            self._limit = -priority
            self._hashes.remove(value)
            self._size -= len(text.encode("utf-8"))

    def left(self) -> Iterator[tuple[int, str]]:
        """(hash, text), in reading order."""
        for _, value, text in sorted(item[1:] for item in self._heap):
            yield value, text


def _hashed(corpus, config, progress, read) -> Iterator[tuple[list[str], np.ndarray]]:
    done, total = 0, sum(os.path.getsize(file.path) for file in corpus.files)

    def on_read(num_bytes: int):
        nonlocal done
        done += num_bytes
        if progress is not None:
            progress("read text", done, total)

    texts: list[str] = []
    for file in readable(corpus, config, read)[0]:
        for document in read(file, config, on_read):
            texts.append(document.text)
            if len(texts) == _BATCH_DOCUMENTS:
                yield texts, hash_documents(texts)
                texts = []
    if texts:
        yield texts, hash_documents(texts)
