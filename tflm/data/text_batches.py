"""Batches of texts for an encoder: a few buckets by length, so that there is little padding and few shapes to compile.

    token_ids      <s> t0 t1 t2 </s>  .  .        . is padding
    padding_mask    1   1  1  1   1   0  0

A text of more than `sequence_length` tokens is cut, and ends in </s> all the same. batch(step) depends on nothing but
the split, these numbers, the seed and the step (bucket_order.py).

Shapes: B batch, T the tokens of the longest text of a bucket.
"""

import numpy as np

from tflm.data import features
from tflm.data.bucket_order import BucketOrder
from tflm.data.length_buckets import bucket_ends
from tflm.data.parallel_batches import place
from tflm.data.store import TokenSplit


class TextBatches:
    """
    Args:
        split: of texts, with labels or without; four bytes of order are held for each.
        frame: (pad_id, eos_id).
        sequence_length: the most tokens of a text that are read.
        batch_size: B.
        seed: of the order; None for each text once, in order of length, where rows that only fill the last batch of a
            bucket have the weight 0.
        class_weights: (num_labels,) float, what a text of each label counts for; None for 1.
        ends: the greatest length of each bucket, ascending; None for the best of this split (`bucket_ends`).

    Attributes:
        num_batches: of one pass. steps_per_epoch: float.
        tokens_per_step: without padding, on average.
        padding_share: of the cells.
        shapes: (B, T) of each bucket.
    """

    def __init__(
        self,
        split: TokenSplit,
        frame: tuple[int, int],
        sequence_length: int,
        batch_size: int,
        seed: int | None,
        class_weights: np.ndarray | None = None,
        ends: list[int] | None = None,
    ):
        self._split, self._class_weights = split, class_weights
        self._pad_id, self._eos_id = frame
        _, lengths = split.spans(np.arange(split.num_documents))
        lengths = np.minimum(lengths, sequence_length).astype(np.int32)
        ends = np.array(ends or bucket_ends(np.bincount(lengths)))
        buckets = np.searchsorted(ends, lengths)
        sizes = np.bincount(buckets, minlength=len(ends))
        self._order = np.argsort(buckets, kind="stable").astype(np.int32)
        self._firsts = np.cumsum(sizes) - sizes
        self.shapes = [(batch_size, int(end)) for end in ends]
        self._schedule = BucketOrder(sizes.tolist(), [batch_size] * len(ends), seed)
        self.num_batches = self._schedule.num_batches
        self.steps_per_epoch = self._schedule.steps_per_epoch
        self.tokens_per_step = round(int(lengths.sum()) / self.steps_per_epoch)
        self.padding_share = 1 - float(lengths.sum() / (sizes * ends).sum())

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of `step`, from 0: token_ids (B, T) int32, padding_mask (B, T) bool, weights (B,) float32 with
        the sum 1, and of texts with labels these, (B, ...) int32; segment_ids (B, T) int32 of texts that go on with a
        second one at `segment_starts`."""
        texts, shape, count = self._at(step)
        token_ids, padding_mask = self._padded(texts, shape)
        self._split.release_pages()
        more, weights = {}, np.ones(len(texts))
        if hasattr(self._split, "labels"):
            more[features.LABELS] = np.asarray(self._split.labels[texts], np.int32)
            if self._class_weights is not None:
                weights = self._class_weights[more[features.LABELS]]
        if hasattr(self._split, "segment_starts"):
            is_second = np.arange(shape[1]) >= self._split.segment_starts[texts][:, None]
            more[features.SEGMENT_IDS] = (is_second & padding_mask).astype(np.int32)
        weights = np.where(np.arange(len(texts)) < count, weights, 0.0)
        return {
            features.TOKEN_IDS: token_ids,
            features.PADDING_MASK: padding_mask,
            features.WEIGHTS: (weights / max(weights.sum(), 1e-9)).astype(np.float32),
            **more,
        }

    def _padded(self, texts: np.ndarray, shape: tuple[int, int]):
        """The tokens of texts (B, T) int32, and where there are some (B, T) bool."""
        starts, lengths = self._split.spans(texts)
        is_cut = lengths > shape[1]
        lengths = np.minimum(lengths, shape[1])
        token_ids = np.full(shape, self._pad_id, np.int32)
        place(token_ids, np.zeros(len(texts), np.int64), self._split.tokens, (starts, lengths))
        token_ids[is_cut, -1] = self._eos_id
        return token_ids, np.arange(shape[1])[None, :] < lengths[:, None]

    def texts(self, step: int) -> np.ndarray:
        """Which texts are in the batch of `step`: (n,) int, n at most B; those that only fill it are not among them."""
        numbers, _, count = self._at(step)
        return numbers[:count]

    def _at(self, step: int):
        bucket, places = self._schedule.at(step)
        texts = self._order[self._firsts[bucket] + places]
        shape = self.shapes[bucket]
        return np.resize(texts, shape[0]), shape, len(texts)
