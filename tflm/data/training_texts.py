"""The training text, or a bounded sample of it, to train a tokenizer on before there are token ids."""

import heapq
import itertools
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
    resolve=corpora.resolve,
    owner=None,
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
        resolve: what finds the corpora, as corpora.resolve does.
        owner: gives of such a thing the text whose hash decides its split; None for the `text` itself.

    Raises:
        UserError: for a corpus that cannot be read or holds no text.
    """
    sources = resolve(config, corpora.cache_folder(cache_folder), progress)
    rule = SplitRule.of(config, sources)
    held_out = SeenHashes()
    for split in SPLITS[1:]:
        if split in sources:
            for _, _, owners in _hashed(sources[split], config, None, read, owner):
                held_out.add(owners)
    # The reading order's number tells which of equal documents came first, and restores the order.
    chosen, passed = _BoundedSample(sample_bytes, seed) if sample_bytes else _Everything(), 0
    smallest, counts = SmallestHashes(), np.zeros(len(SPLITS), dtype=np.int64)
    for texts, hashes, owners in _hashed(sources["train"], config, progress, read, owner):
        splits = rule.split_of(owners)
        splits[held_out.contains(owners)] = -1
        counts += [np.count_nonzero(splits == split) for split in range(len(SPLITS))]
        smallest.add(owners[splits == TRAIN])
        places = np.flatnonzero(splits == TRAIN)
        kept = [texts[place] for place in places]
        yield from chosen.take(kept, hashes[places], owners[places])
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
        # (hash of the owner, hash) -> text; of the smallest owners so far, as many as SmallestHashes holds
        self._left: dict[tuple[int, int], str] = {}

    def take(self, texts: list[str], hashes: np.ndarray, owners: np.ndarray) -> Iterator[str]:
        for place in np.flatnonzero(self._seen.add(hashes)):
            self._left[int(owners[place]), int(hashes[place])] = texts[place]
            while len({owner for owner, _ in self._left}) > len(SPLITS):
                yield self._left.pop(max(self._left))

    def left(self) -> Iterator[tuple[int, str]]:
        """(hash of the owner, text), in reading order."""
        for (owner, _), text in self._left.items():
            yield owner, text


class _BoundedSample:
    """The documents with the lowest priorities, as many as fit.

    A priority is a function of the content, so equal documents meet: the second finds the first here,
    or finds that its priority is too high.
    """

    def __init__(self, sample_bytes: int, seed: int):
        self._sample_bytes = sample_bytes
        self._seed = seed
        self._size = 0
        # (-priority, number, hash, hash of the owner, text)
        self._heap: list[tuple[int, int, int, int, str]] = []
        self._hashes: set[int] = set()
        self._number = 0
        self._limit = 1 << 64

    def take(self, texts: list[str], hashes: np.ndarray, owners: np.ndarray) -> tuple:
        """Nothing is handed on before the last document is seen."""
        priorities = mix(hashes, self._seed)
        for priority, value, owner, text in zip(priorities, hashes, owners, texts, strict=True):
            self._offer(int(priority), int(value), int(owner), text)
        return ()

    def _offer(self, priority: int, value: int, owner: int, text: str):
        self._number += 1
        if priority >= self._limit or value in self._hashes:
            return
        heapq.heappush(self._heap, (-priority, self._number, value, owner, text))
        self._hashes.add(value)
        self._size += len(text.encode("utf-8"))
        while self._size > self._sample_bytes and len(self._heap) > 1:
            priority, _, value, _, text = heapq.heappop(self._heap)
            self._limit = -priority
            self._hashes.remove(value)
            self._size -= len(text.encode("utf-8"))

    def left(self) -> Iterator[tuple[int, str]]:
        """(hash of the owner, text), in reading order."""
        for _, _, owner, text in sorted(item[1:] for item in self._heap):
            yield owner, text


def _hashed(corpus, config, progress, read, owner):
    """Batches of texts, with their hashes and those of their owners."""
    done, total = 0, sum(os.path.getsize(file.path) for file in corpus.files)

    def on_read(num_bytes: int):
        nonlocal done
        done += num_bytes
        if progress is not None:
            progress("read text", done, total)

    found = (
        thing for unit in readable(corpus, config, read)[0] for thing in read(unit, config, on_read)
    )
    while things := list(itertools.islice(found, _BATCH_DOCUMENTS)):
        texts = [thing.text for thing in things]
        hashes = hash_documents(texts)
        owners = hashes if owner is None else hash_documents([owner(thing) for thing in things])
        yield texts, hashes, owners
