"""Batches of pairs of texts for an encoder-decoder: a few buckets by length, a fixed shape each, about as many cells.

`batch_size` counts rows at full length, so that a batch of shorter pairs has more of them: a bucket whose longer side
is w tokens has batch_size * sequence_length // w rows. batch(step) depends on nothing but the split, these numbers, the
seed and the step (bucket_order.py): to resume is to go on with the next number.

    source_ids   s0 s1 s2 </s>  .  .          . is padding, id 0
    token_ids    <s> t0 t1 t2   .
    labels       t0 t1 t2 </s>  .             weights are 0 on padding, and sum to 1 over the batch

Shapes: B rows of the bucket, S and T the most tokens of a source and of a target in it.
"""

import numpy as np

from tflm.data import features
from tflm.data.bucket_order import BucketOrder
from tflm.data.length_buckets import padding_share
from tflm.data.parallel_split import ParallelSplit


def rows_of(width: int, sequence_length: int, batch_size: int, accumulation: int) -> int:
    """How many rows of `width` tokens a batch has: a multiple of `accumulation`, at least once."""
    rows = batch_size * sequence_length // width
    return max(rows // accumulation, 1) * accumulation


def place(out: np.ndarray, columns: np.ndarray, tokens: np.ndarray, spans: tuple):
    """Writes a span of `tokens` into each row of `out`.

    Args:
        out: (B, T).
        columns: (B,) int, where in the row it begins.
        spans: where in `tokens` it begins and how long it is, (B,) int each.
    """
    starts, lengths = spans
    rows = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    columns, starts = np.repeat(columns, lengths), np.repeat(starts, lengths)
    out[rows, columns + within] = tokens[starts + within]


class BucketedPairs:
    """Which pairs are in which batch.

    Args:
        split: of pairs.
        measure: one of length_buckets.MEASURES.
        rows: of a batch of each bucket.
        seed: see BucketOrder.

    Attributes:
        num_batches: that hold every pair once.
        steps_per_epoch: float; batches straddle epochs where there is a seed.
    """

    def __init__(self, split: ParallelSplit, measure: str, rows: list[int], seed: int | None):
        self._order, self._buckets = split.orders[measure], split.buckets[measure]
        self._rows = rows
        self._schedule = BucketOrder([bucket.pairs for bucket in self._buckets], rows, seed)
        self.steps_per_epoch = self._schedule.steps_per_epoch
        self.num_batches = self._schedule.num_batches

    def at(self, step: int) -> tuple[int, np.ndarray, int]:
        """The bucket of a step, (rows,) the pairs, and how many of these count: in order, the last batch of a bucket
        repeats some to be whole.
        """
        bucket, places = self._schedule.at(step)
        pairs = self._order[self._buckets[bucket].first + places]
        return bucket, np.resize(pairs, self._rows[bucket]), len(places)


class ParallelBatches:
    """
    Args:
        split: of pairs.
        sequence_length, batch_size: so many tokens, of the longer sides, are in a batch at most.
        seed: of the order; None for the buckets in turn, each pair once: `num_batches` batches, for evaluation. Rows
            that only fill the last batch of a bucket have the weight 0.
        accumulation: micro-batches in a batch; divides the rows of every bucket.

    Attributes:
        num_batches, steps_per_epoch: see BucketedPairs.
        tokens_per_step: of sources and targets, on average, without padding.
        padding_share: of the cells of sources and targets, on average.
        shapes: (B, S, T) of each bucket.
    """

    def __init__(
        self,
        split: ParallelSplit,
        sequence_length: int,
        batch_size: int,
        seed: int | None,
        accumulation: int = 1,
    ):
        self._split = split
        buckets = split.buckets["longest"]
        widths = [max(bucket.source_length, bucket.target_length) for bucket in buckets]
        rows = [rows_of(width, sequence_length, batch_size, accumulation) for width in widths]
        self._pairs = BucketedPairs(split, "longest", rows, seed)
        self.num_batches = self._pairs.num_batches
        self.steps_per_epoch = self._pairs.steps_per_epoch
        tokens = sum(bucket.source_tokens + bucket.target_tokens for bucket in buckets)
        self.tokens_per_step = round(tokens / self.steps_per_epoch)
        self.padding_share = padding_share(buckets)
        self.shapes = [
            (n, bucket.source_length, bucket.target_length)
            for n, bucket in zip(rows, buckets, strict=True)
        ]

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of `step`, from 0: source_ids (B, S), token_ids, labels (B, T) int32, weights (B, T) float32."""
        bucket, pairs, count = self._pairs.at(step)
        rows, source_length, target_length = self.shapes[bucket]
        source_ids = np.zeros((rows, source_length), np.int32)
        first_column = np.zeros(rows, np.int64)
        place(source_ids, first_column, self._split.source_tokens, self._split.source_spans(pairs))
        starts, lengths = self._split.spans(pairs)
        token_ids = np.zeros((rows, target_length), np.int32)
        place(token_ids, first_column, self._split.tokens, (starts, lengths - 1))
        labels = np.zeros((rows, target_length), np.int32)
        place(labels, first_column, self._split.tokens, (starts + 1, lengths - 1))
        self._split.release_pages()
        return {
            features.SOURCE_IDS: source_ids,
            features.TOKEN_IDS: token_ids,
            features.LABELS: labels,
            features.WEIGHTS: weights(target_length, first_column, lengths - 1, count),
        }


def weights(width: int, columns: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """(B, width) float32, equal on so many columns of each of the first `count` rows, and 1 together."""
    places = np.arange(width) - columns[:, None]
    counted = (places >= 0) & (places < lengths[:, None])
    counted[count:] = False
    return counted.astype(np.float32) / np.float32(np.count_nonzero(counted))
