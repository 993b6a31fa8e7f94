"""Counting pairs of words by sorting: stretches of the text become sorted runs on disk, and the runs are merged.

A pair (i, j), i <= j, has the number i * V + j. It is scrambled by a bijection, so that sorting brings equal pairs
together and leaves them in an order without order: what the authors' program `shuffle` does costs nothing here. Below
it in the same 64 bits stands the distance. The numbers of a stretch of text are sorted, equal ones added up, and
written as a run; at last all runs are merged. 1/d is counted in whole numbers of 1/lcm(1..window), whose sum depends
on no order.
"""

import math
import os
from pathlib import Path

import numpy as np

PAIR = np.dtype([("first", "<i4"), ("second", "<i4"), ("count", "<f4")])
NUM_SPECIAL_IDS, UNKNOWN_ID = 4, 1
BLOCK_TOKENS = 1 << 16
LARGEST_VOCABULARY = 1 << 28  # a pair and its distance in 64 bits
LARGEST_WINDOW = 256
_BYTES_PER_NUMBER = 40  # in a buffer: itself, and what sorting and adding up takes beside it
_BYTES_PER_ENTRY = 96  # of a run, while runs are merged
_ENTRY = np.dtype([("pair", "<u8"), ("count", "<u8")])
_HIGHEST = np.uint64((1 << 64) - 1)
_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # splitmix64's


class PairNumbers:
    """Pairs and distances as numbers of 64 bits, and back.

    Attributes:
        scale: what 1/d is counted in: multiples of 1/scale.
    """

    def __init__(self, vocabulary_size: int, window: int):
        self.window = window
        self._size = np.uint64(vocabulary_size)
        bits = max((vocabulary_size**2 - 1).bit_length(), 2)
        self._mask = np.uint64((1 << bits) - 1)
        self._shift = np.uint64(-(-bits // 2))  # at least half: x ^ (x >> shift) undoes itself
        self._distance_bits = np.uint64((window - 1).bit_length())
        self._distance_mask = np.uint64((1 << int(self._distance_bits)) - 1)
        # Beyond a window of 22 the least common multiple would overflow the sums.
        self.scale = min(math.lcm(*range(1, window + 1)), 1 << 32)
        distances = np.arange(1, int(self._distance_mask) + 2)
        self._weights = np.rint(self.scale / distances).astype(np.uint64)

    def of(self, first: np.ndarray, second: np.ndarray, distance: int) -> np.ndarray:
        """Numbers of pairs of ids (n,), in either order, that stand `distance` apart: uint64."""
        pair = np.minimum(first, second).astype(np.uint64) * self._size
        pair += np.maximum(first, second).astype(np.uint64)
        for odd in _ODD:
            pair *= np.uint64(odd)
            pair &= self._mask
            pair ^= pair >> self._shift
        pair <<= self._distance_bits
        pair |= np.uint64(distance - 1)
        return pair

    def add_up(self, numbers: np.ndarray) -> np.ndarray:
        """Entries of a run, sorted by pair: `numbers` (n,), which are sorted in place, with equal pairs added up."""
        numbers.sort()
        weights = self._weights[numbers & self._distance_mask]
        numbers >>= self._distance_bits
        return summed(numbers, weights)

    def pairs(self, entries: np.ndarray) -> np.ndarray:
        """Entries as records of PAIR."""
        number = entries["pair"].copy()
        for odd in reversed(_ODD):
            number ^= number >> self._shift
            number *= np.uint64(pow(odd, -1, 1 << 64))
            number &= self._mask
        pairs = np.empty(len(entries), PAIR)
        pairs["first"], pairs["second"] = number // self._size, number % self._size
        # A word beside itself is near it in both directions.
        twice = np.where(pairs["first"] == pairs["second"], 2.0, 1.0)
        pairs["count"] = entries["count"] * (twice / self.scale)
        return pairs


def summed(sorted_pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Entries from pairs (n,), n > 0, of which equal ones are neighbours."""
    starts = np.flatnonzero(np.append(True, sorted_pairs[1:] != sorted_pairs[:-1]))
    entries = np.empty(len(starts), _ENTRY)
    entries["pair"], entries["count"] = sorted_pairs[starts], np.add.reduceat(counts, starts)
    return entries


def count_pairs(split, numbers: PairNumbers, path: Path, memory_bytes: int, progress) -> list[int]:
    """Writes a run for every stretch of text that the memory holds; returns where in `path` they end, in entries."""
    room = max(memory_bytes // _BYTES_PER_NUMBER, 1)
    block_tokens = max(min(BLOCK_TOKENS, room // numbers.window), 1)
    buffer, filled = np.empty(max(room, block_tokens * numbers.window), np.uint64), 0
    ends, num_entries, num_tokens = [], 0, len(split.tokens)
    with open(path, "wb") as file:
        for stop in range(block_tokens, num_tokens + block_tokens, block_tokens):
            for found in _pairs_of(split.tokens, stop - block_tokens, stop, numbers):
                buffer[filled : filled + len(found)] = found
                filled += len(found)
            is_full = filled + block_tokens * numbers.window > len(buffer)
            if filled and (is_full or stop >= num_tokens):
                entries = numbers.add_up(buffer[:filled])
                file.write(entries.data)
                num_entries += len(entries)
                ends.append(num_entries)
                filled = 0
            split.release_pages()
            if progress is not None:
                progress("count pairs of words", min(stop, num_tokens), num_tokens)
    return ends


def _pairs_of(tokens: np.ndarray, start: int, stop: int, numbers: PairNumbers):
    """The numbers of all pairs whose first place is in [start, stop), by distance."""
    ids = np.asarray(tokens[start : stop + numbers.window], dtype=np.uint32)
    is_word = ids >= NUM_SPECIAL_IDS
    document = np.cumsum(~is_word & (ids != UNKNOWN_ID))
    for distance in range(1, min(numbers.window, len(ids) - 1) + 1):
        last = min(stop - start, len(ids) - distance)
        near, far = slice(0, last), slice(distance, last + distance)
        together = is_word[near] & is_word[far] & (document[near] == document[far])
        yield numbers.of(ids[near][together], ids[far][together], distance)


class _Run:
    """A run being read: a window of it is in memory."""

    def __init__(self, path: Path, start: int, end: int, length: int):
        self._path, self._next, self._end, self._length = path, start, end, length
        self._window = np.empty(0, _ENTRY)

    def fill(self) -> None:
        missing = min(self._length - len(self._window), self._end - self._next)
        if missing and 2 * len(self._window) < self._length:
            offset = self._next * _ENTRY.itemsize
            more = np.fromfile(self._path, _ENTRY, count=missing, offset=offset)
            self._window = np.concatenate([self._window, more])
            self._next += missing

    def bound(self) -> np.uint64:
        """A pair such that all entries up to it are in memory."""
        return self._window["pair"][-1] if self._next < self._end else _HIGHEST

    def take(self, bound: np.uint64) -> np.ndarray:
        """The entries up to `bound`, which leave the run."""
        count = np.searchsorted(self._window["pair"], bound, side="right")
        taken, self._window = self._window[:count], self._window[count:]
        return taken


def merge_runs(source: Path, ends, numbers: PairNumbers, path: Path, memory_bytes, progress) -> int:
    """Writes the pairs of all runs to `path`; returns how many."""
    length = max(memory_bytes // _BYTES_PER_ENTRY // max(len(ends), 1), 1)
    starts = [0, *ends][: len(ends)]
    runs = [_Run(source, start, end, length) for start, end in zip(starts, ends, strict=True)]
    num_pairs, done, total = 0, 0, ends[-1] if ends else 0
    with open(path, "wb") as file:
        while done < total:
            for run in runs:
                run.fill()
            bound = min(run.bound() for run in runs)
            entries = np.concatenate([run.take(bound) for run in runs])
            order = np.argsort(entries["pair"], kind="stable")  # merges what is sorted in parts
            merged = summed(entries["pair"][order], entries["count"][order])
            file.write(numbers.pairs(merged).data)
            num_pairs += len(merged)
            done += len(entries)
            if progress is not None:
                progress("merge pairs of words", done, total)
        flush(file)
    return num_pairs


def flush(file):
    file.flush()
    os.fsync(file.fileno())
