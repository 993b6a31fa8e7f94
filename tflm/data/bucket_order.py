"""Which pairs are in which batch, where each bucket has batches of its own size: a function of the seed and the step.

Bucket b has n_b pairs, of which a batch takes r_b. Its pairs are an endless stream, each once an epoch and permuted
anew in every epoch, cut into batches; a batch may straddle two epochs. Before epoch e, ceil(e n_b / r_b) batches of it
have been given, so that over the epochs every bucket has its share of the steps, and those of one epoch come in a
permuted order. Nothing is remembered: the epoch of a step is found by bisection.
"""

import bisect

import numpy as np

from tflm.data.order import fold_in, permute


class BucketOrder:
    """
    Args:
        sizes: n_b, at least 1 each.
        rows: r_b, at least 1 each.
        seed: any integer; None for each pair once, in order, with what is left of a bucket in its last batch.

    Attributes:
        steps_per_epoch: float.
        num_batches: in an epoch, what is left of a bucket counted as a batch.
    """

    def __init__(self, sizes: list[int], rows: list[int], seed: int | None):
        self._sizes, self._rows, self._seed = sizes, rows, seed
        self.steps_per_epoch = sum(n / r for n, r in zip(sizes, rows, strict=True))
        self.num_batches = sum(self._before(1))

    def at(self, step: int) -> tuple[int, np.ndarray]:
        """The bucket of the batch of `step`, from 0, and which of its pairs are in it: int64, r_b of them or fewer."""
        if self._seed is None:
            bucket, number = self._in_turn(self._before(1), step)
            last = min((number + 1) * self._rows[bucket], self._sizes[bucket])
            return bucket, np.arange(number * self._rows[bucket], last)
        # Bucket 0 alone has more batches than `step` before this epoch.
        end = step * self._rows[0] // self._sizes[0] + 2
        epoch = bisect.bisect_right(range(end), step, key=lambda e: sum(self._before(e))) - 1
        before = self._before(epoch)
        counts = [b - a for a, b in zip(before, self._before(epoch + 1), strict=True)]
        order_seed = fold_in(fold_in(self._seed, 0), epoch)
        place = permute(step - sum(before), sum(counts), order_seed)
        bucket, number = self._in_turn(counts, int(place))
        return bucket, self._pairs(bucket, before[bucket] + number)

    def _before(self, epoch: int) -> list[int]:
        """How many batches each bucket has given before an epoch."""
        return [-(-epoch * n // r) for n, r in zip(self._sizes, self._rows, strict=True)]

    @staticmethod
    def _in_turn(counts: list[int], place: int) -> tuple[int, int]:
        """The bucket of a batch, and its number in the bucket, where one bucket comes after the other."""
        for bucket, count in enumerate(counts):
            if place < count:
                return bucket, place
            place -= count
        raise ValueError(f"There are {sum(counts)} batches.")

    def _pairs(self, bucket: int, number: int) -> np.ndarray:
        size, rows = self._sizes[bucket], self._rows[bucket]
        epochs, places = np.divmod(number * rows + np.arange(rows, dtype=np.int64), size)
        seed = fold_in(self._seed, 1 + bucket)
        for epoch in np.unique(epochs):
            now = epochs == epoch
            places[now] = permute(places[now], size, fold_in(seed, int(epoch)))
        return places
