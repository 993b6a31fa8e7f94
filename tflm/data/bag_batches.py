"""Batches of labelled texts as bags of rows, laid out for a loop over small chunks of them.

Texts differ in length, shapes must not: the rows of a batch lie one text after the other in one long array,

    row_ids   a a a a b b c c c c c d d . . .        . is room that is left
    texts     0 0 0 0 1 1 2 2 2 2 2 3 3 E E E

and are cut into chunks of whole texts, at most `chunk_texts` of them and at most `chunk_rows` rows, so that the loop
looks at a window of a fixed size from where each chunk begins.

Shapes: E texts a batch, B texts a chunk, W rows a chunk, R room for the rows of any batch and W more.
"""

import math

import numpy as np

from tflm.data.features import LABELS
from tflm.data.labelled_store import LabelledSplit
from tflm.data.order import fold_in, permute
from tflm.text.ngrams import TextBags

ROW_IDS = "row_ids"  # (R,) int32
TEXTS = "texts"  # (R,) int32: whose row it is; E where there is none
SCALES = "scales"  # (E + B,) float32: 1 / the text's rows; 0 where there is no text. LABELS has this shape, too
CHUNK_ROWS = "chunk_rows"  # (E,) int32: where each chunk's rows begin
CHUNK_TEXTS = (
    "chunk_texts"  # (E + 1,) int32: where its texts begin, and behind the last one the end
)
NUM_CHUNKS = "num_chunks"  # (1,) int32
WINDOW = "window"  # (W,) int32: 0 to W - 1

_BLOCK_TEXTS = 1 << 14


class BagBatches:
    """Batch k as a function of (split, seed, k): E texts in shuffled order, epoch after epoch.

    Args:
        split: the labelled texts.
        bags: what makes rows of tokens.
        batch_size: E.
        chunk_texts: B.
        seed: of the order; None for the order of the split, once, whose last batch may have fewer texts.

    Attributes:
        chunk_rows: W.
        num_batches: in an epoch, the last one whole or not.
        steps_per_epoch: float.
        tokens_per_step: tokens in a batch, on average.
    """

    def __init__(
        self,
        split: LabelledSplit,
        bags: TextBags,
        batch_size: int,
        chunk_texts: int,
        seed: int | None,
    ):
        self._split, self._bags, self._seed = split, bags, seed
        self._batch_size, self._chunk_texts = batch_size, chunk_texts
        self._num_texts = split.num_documents
        sizes = np.concatenate(
            [self._sizes(first) for first in range(0, self._num_texts, _BLOCK_TEXTS)]
        )
        self.chunk_rows = max(int(sizes.max()), math.ceil(sizes.mean() * chunk_texts))
        # A batch touches so many epochs at most, and has most rows where each gives as many of its longest texts.
        epochs = (batch_size + self._num_texts - 2) // self._num_texts + 1
        longest = np.sort(sizes)[::-1][: math.ceil(batch_size / epochs)]
        self._room = epochs * int(longest.sum()) + self.chunk_rows
        self.num_batches = math.ceil(self._num_texts / batch_size)
        self.steps_per_epoch = self._num_texts / batch_size
        self.tokens_per_step = round(len(split.tokens) / self._num_texts * batch_size)

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of `step`, from 0; its shapes are at the top of the file."""
        texts = self._texts_of(step)
        rows, sizes = self._bags.of(*self._tokens_of(texts))
        self._split.release_pages()
        starts, firsts = self._chunks(sizes)
        return {
            ROW_IDS: _filled(self._room, 0, rows),
            TEXTS: _filled(self._room, self._batch_size, np.repeat(np.arange(len(texts)), sizes)),
            LABELS: _filled(self._batch_size + self._chunk_texts, 0, self._split.labels[texts]),
            SCALES: _filled(
                self._batch_size + self._chunk_texts, 0, 1 / np.maximum(sizes, 1), np.float32
            ),
            CHUNK_ROWS: _filled(self._batch_size, 0, starts),
            CHUNK_TEXTS: _filled(self._batch_size + 1, len(texts), firsts),
            NUM_CHUNKS: np.array([len(starts)], np.int32),
            WINDOW: np.arange(self.chunk_rows, dtype=np.int32),
        }

    def _texts_of(self, step: int) -> np.ndarray:
        places = step * self._batch_size + np.arange(self._batch_size)
        if self._seed is None:
            return places[places < self._num_texts]
        epochs, places = np.divmod(places, self._num_texts)
        for epoch in np.unique(epochs):
            now = epochs == epoch
            places[now] = permute(places[now], self._num_texts, fold_in(self._seed, int(epoch)))
        return places

    def _tokens_of(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, lengths = self._split.spans(texts)
        places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths - first, lengths)
        return self._split.tokens[places], lengths

    def _sizes(self, first: int) -> np.ndarray:
        texts = np.arange(first, min(first + _BLOCK_TEXTS, self._num_texts))
        sizes = self._bags.sizes(*self._tokens_of(texts))
        self._split.release_pages()
        return sizes.astype(np.int32)

    def _chunks(self, sizes: np.ndarray) -> tuple[list[int], list[int]]:
        """Where each chunk's rows begin, and its texts."""
        ends = np.cumsum(sizes)
        starts, firsts, text, row = [], [], 0, 0
        while text < len(sizes):
            starts.append(row)
            firsts.append(text)
            fitting = int(np.searchsorted(ends, row + self.chunk_rows, side="right"))
            text = min(text + self._chunk_texts, fitting)
            row = int(ends[text - 1])
        return starts, firsts


def _filled(size: int, rest: int, values, dtype=np.int32) -> np.ndarray:
    array = np.full(size, rest, dtype)
    array[: len(values)] = values
    return array
