"""Batches of tagged sentences for an encoder: windows in a few buckets by length, as in text_batches.py.

    token_ids        <s> EU  re ##jects </s>  .       . is padding
    word_positions    1   2   0                       the first token of each word that counts in the window
    labels            B   O   0
    weights           w   w   0                       w = 1 / the words of the batch

Shapes: B batch, T the tokens of the longest window of a bucket, W = T - 2 words at most.
"""

import numpy as np

from tflm.data import features
from tflm.data.parallel_batches import place
from tflm.data.text_batches import TextBatches


class TaggedBatches(TextBatches):
    """
    Args and attributes: as those of TextBatches, of a TaggedSplit whose windows have at most `sequence_length` tokens.
    """

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of `step`, from 0: token_ids (B, T) int32, padding_mask (B, T) bool; word_positions, labels (B, W)
        int32, and weights (B, W) float32, equal for all words and 1 together."""
        windows, shape, count = self._at(step)
        token_ids, padding_mask = self._padded(windows, shape)
        labels = np.full(shape, -1, np.int32)
        place(
            labels,
            np.zeros(count, np.int64),
            self._split.labels,
            self._split.spans(windows[:count]),
        )
        self._split.release_pages()
        rows, positions = np.nonzero(labels >= 0)
        words = np.bincount(rows, minlength=shape[0])
        columns = np.arange(len(rows)) - np.repeat(np.cumsum(words) - words, words)
        by_word = {}
        for name, values in (
            (features.WORD_POSITIONS, positions.astype(np.int32)),
            (features.LABELS, labels[rows, positions]),
            (features.WEIGHTS, np.full(len(rows), 1 / max(len(rows), 1), np.float32)),
        ):
            by_word[name] = np.zeros((shape[0], shape[1] - 2), values.dtype)
            by_word[name][rows, columns] = values
        return {features.TOKEN_IDS: token_ids, features.PADDING_MASK: padding_mask, **by_word}
