"""Pairs grouped by length into a few buckets, so that a batch of one bucket has a fixed shape and little padding.

Where the buckets end is the best there is for the lengths of a split: of all ways to cut them in NUM_BUCKETS, that with
the fewest cells, found by dynamic programming over the histogram. A bucket of very few pairs counts as if it had more:
it has a shape to be compiled, and a batch to be filled, like any other.

The order of a split lists its pairs bucket by bucket, as they were read within each.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

# Each is a shape that has to be compiled.
NUM_BUCKETS = 6
# What fewer pairs count as: a share of the split's, and a number.
SMALLEST_SHARE, SMALLEST_PAIRS = 1 / 200, 64
# Buckets end at multiples of it, in tokens; the last one where the longest pair does.
STEP = 4
# What decides the bucket of a pair, by the tokens of its sides: an encoder-decoder pads each to a width of its own, a
# decoder alone reads them one after the other.
MEASURES = {"longest": np.maximum, "sum": np.add}
# Where buckets may end.
_MAX_ENDS = 256
_BLOCK = 1 << 18


@dataclasses.dataclass(frozen=True)
class Bucket:
    """
    Attributes:
        first: where its pairs begin in the order.
        pairs: how many.
        source_length, target_length: the most tokens of each, eos counted; of the target without bos.
        longest_sum: the most tokens of a pair, as above.
        source_tokens, target_tokens: of all its pairs, as above.
    """

    first: int
    pairs: int
    source_length: int
    target_length: int
    longest_sum: int
    source_tokens: int
    target_tokens: int


def padding_share(buckets) -> float:
    """The share of padding among the cells of sources and targets, where each is as wide as its bucket."""
    tokens = sum(bucket.source_tokens + bucket.target_tokens for bucket in buckets)
    cells = sum(b.pairs * (b.source_length + b.target_length) for b in buckets)
    return 1 - tokens / cells


def lengths_between(starts: np.ndarray, num_tokens: int, first: int, last: int) -> np.ndarray:
    """The lengths of documents first to last - 1 of those that begin at `starts` in `num_tokens` tokens."""
    ends = starts[first + 1 : last + 1]
    if last == len(starts):
        ends = np.append(ends, num_tokens)
    return ends - starts[first:last]


def group(lengths: Callable, num_pairs: int, measure: str, order: np.ndarray) -> tuple[Bucket, ...]:
    """Groups pairs by length, block by block.

    Args:
        lengths: lengths(first, last) gives the tokens of sources and of targets, two int arrays, as Bucket counts them.
        num_pairs: at least one.
        measure: one of MEASURES.
        order: (num_pairs,) integers, filled with the numbers of the pairs.
    """
    measured = MEASURES[measure]
    blocks = [(i, min(i + _BLOCK, num_pairs)) for i in range(0, num_pairs, _BLOCK)]
    histogram = np.zeros(0, np.int64)
    for first, last in blocks:
        counts = np.bincount(measured(*lengths(first, last)), minlength=len(histogram))
        counts[: len(histogram)] += histogram
        histogram = counts
    ends = bucket_ends(histogram)
    sizes = np.diff(np.cumsum(histogram)[ends], prepend=0)
    firsts = np.cumsum(sizes) - sizes
    filled = np.zeros_like(sizes)
    longest = np.zeros((len(ends), 3), np.int64)
    tokens = np.zeros((len(ends), 2), np.int64)
    for first, last in blocks:
        source, target = lengths(first, last)
        numbers = np.searchsorted(ends, measured(source, target))
        for number in np.unique(numbers):
            places = np.flatnonzero(numbers == number)
            start = firsts[number] + filled[number]
            order[start : start + len(places)] = first + places
            filled[number] += len(places)
            sides = np.stack([source[places], target[places], source[places] + target[places]])
            longest[number] = np.maximum(longest[number], sides.max(axis=1))
            tokens[number] += sides[:2].sum(axis=1)
    rows = np.column_stack([firsts, sizes, longest, tokens])
    return tuple(Bucket(*map(int, row)) for row in rows)


def bucket_ends(histogram: np.ndarray, num_buckets: int = NUM_BUCKETS) -> list[int]:
    """The greatest length of each bucket, ascending; the last one is the greatest of all.

    Args:
        histogram: [l] things have the length l; there is at least one thing.
        num_buckets: at most.
    """
    greatest = int(np.flatnonzero(histogram)[-1])
    step = STEP * -(-greatest // (STEP * _MAX_ENDS))
    ends = np.append(np.arange(0, greatest, step), greatest)  # the first, 0, is no end
    below = np.cumsum(histogram)[ends]
    counts = below[None, :] - below[:, None]  # [i, j]: longer than ends[i], at most ends[j]
    least = max(SMALLEST_SHARE * below[-1], SMALLEST_PAIRS)
    costs = np.where(counts > 0, np.maximum(counts, least) * ends[None, :], np.inf)
    best, before = costs[0], []  # [j]: the fewest cells of what is at most ends[j]
    for _ in range(num_buckets - 1):
        totals = best[:, None] + costs
        better = totals.min(axis=0) < best
        before.append(np.where(better, totals.argmin(axis=0), -1))
        best = np.where(better, totals.min(axis=0), best)
    place, cut = len(ends) - 1, []
    for chosen in reversed(before):
        if chosen[place] >= 0:
            cut.append(place)
            place = int(chosen[place])
    cut.append(place)
    return [int(ends[place]) for place in reversed(cut)]
