"""Which documents were seen before: a set of 64-bit hashes at 8 bytes each.

Python's set takes about 60 bytes for such a number. Here the hashes lie in sorted runs whose sizes
grow geometrically (a log-structured merge tree in memory), so that adding a batch is a few binary
searches and, now and then, the merge of two runs. That takes as much again as the two, so the set is
cut in 16 parts by the upper bits, of which one merges at a time: 9 bytes a hash at the peak. Among a
hundred million different documents two hashes agree with probability 3e-4.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

_PART_BITS = 4


def document_hash(text: str) -> int:
    """64 bits of BLAKE2b over the UTF-8 of `text`: a document's identity here and in the split."""
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class SeenHashes:
    """A set of uint64 numbers that is asked and filled by the batch."""

    def __init__(self):
        self._parts = [_Part() for _ in range(1 << _PART_BITS)]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """bool (n,): which of `hashes`, uint64 (n,), are in the set."""
        found = np.zeros(len(hashes), dtype=bool)
        for part, places in self._by_part(hashes):
            found[places] = part.contains(hashes[places])
        return found

    def add(self, hashes: np.ndarray) -> np.ndarray:
        """Adds `hashes`, uint64 (n,). bool (n,): True where a hash appears for the first time."""
        first = np.zeros(len(hashes), dtype=bool)
        for part, places in self._by_part(hashes):
            first[places] = part.add(hashes[places])
        return first

    def _by_part(self, hashes: np.ndarray) -> Iterator[tuple["_Part", np.ndarray]]:
        numbers = hashes >> np.uint64(64 - _PART_BITS)
        for number in np.unique(numbers):
            yield self._parts[number], np.flatnonzero(numbers == number)


class _Part:
    """A set like the whole, of numbers whose upper bits agree."""

    def __init__(self):
        self._runs: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        found = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            found |= run[places] == hashes
        return found

    def add(self, hashes: np.ndarray) -> np.ndarray:
        first = np.zeros(len(hashes), dtype=bool)
        values, places = np.unique(hashes, return_index=True)
        new = ~self.contains(values)
        first[places[new]] = True
        if new.any():
            self._runs.append(values[new])
            self._merge()
        return first

    def _merge(self):
        while len(self._runs) > 1 and 2 * len(self._runs[-1]) >= len(self._runs[-2]):
            joined = np.concatenate([self._runs.pop(), self._runs.pop()])
            # numpy's stable sort finds the two sorted halves and merges them in linear time.
            joined.sort(kind="stable")
            self._runs.append(joined)
