"""Batches for an encoder that finds masked tokens: windows of the token stream, computed from the step's number.

    [CLS] t0 t1 t2 ... t(T-3) [SEP]                         a window of T - 2 tokens, between the two that frame a text
    [CLS] t0 ... t(A-1) [SEP] u0 ... u(B-1) [SEP]           with next-sentence prediction: A + B = T - 3, and in half
    segment   0  ...      0       1  ...        1           of the rows u goes on where t ends, else it is of elsewhere

A window runs over the ends of documents, which their own [SEP] and [CLS] show (RoBERTa's FULL-SENTENCES). As in
`windows`, an epoch begins at another token of the stream, and batch(step) depends on nothing but its arguments.

Shapes: B batch, T time, P positions that are predicted.
"""

import numpy as np

from tflm.data import features
from tflm.data.masking import Masker
from tflm.data.order import fold_in
from tflm.data.store import TokenSplit
from tflm.data.windows import ShuffledWindows


class MaskedWindows:
    """
    Args:
        split: whose tokens to read.
        masker: what hides tokens.
        frame: (bos_id, eos_id), [CLS] and [SEP].
        sequence_length: T.
        batch_size: B, of the whole effective batch.
        seed: any integer; None for one pass over the split in order, with masks that are always the same.
        next_sentence: whether rows are pairs.

    Attributes:
        num_windows: windows in an epoch.
        num_batches: of one pass; the last one is left out where it is not full, unless it is the only one.
        steps_per_epoch: float, num_windows / B.
        tokens_per_step: B * T.

    Raises:
        UserError: for a split that is shorter than one window.
    """

    def __init__(
        self,
        split: TokenSplit,
        masker: Masker,
        frame: tuple[int, int],
        sequence_length: int,
        batch_size: int,
        seed: int | None,
        next_sentence: bool = False,
    ):
        self._split, self._masker, self._frame = split, masker, frame
        self._next_sentence = next_sentence
        self._length = sequence_length - 2 - next_sentence
        self._once, self._seed = seed is None, seed or 0
        self._order = ShuffledWindows(split, self._length, batch_size, self._seed)
        self._batch_size = batch_size
        self.num_windows = self._order.num_windows
        self.num_batches = max(1, self.num_windows // batch_size)
        self.steps_per_epoch = self._order.steps_per_epoch
        self.tokens_per_step = batch_size * sequence_length

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of `step` (from 0): token_ids (B, T), masked_positions and labels (B, P) int32, weights (B, P)
        float32; with next_sentence also segment_ids (B, T), is_elsewhere (B,) int32 and row_weights (B,) float32."""
        # A stream of its own beside that of the order: the step's number is its counter.
        random = np.random.Generator(np.random.Philox(key=fold_in(self._seed, step), counter=1))
        starts = self._order.starts(step)
        if self._once:
            starts = (step * self._batch_size + np.arange(self._batch_size)) * self._length
        rows, others = self._rows(starts, random)
        masked, positions, labels, found = self._masker.mask(rows, random)
        weights = found.astype(np.float32) / np.float32(max(found.sum(), 1))
        self._split.release_pages()
        return {
            features.TOKEN_IDS: masked,
            features.MASKED_POSITIONS: positions,
            features.LABELS: labels,
            features.WEIGHTS: weights,
            **others,
        }

    def _rows(self, starts: np.ndarray, random) -> tuple[np.ndarray, dict]:
        bos, eos = (np.full((len(starts), 1), token, np.int32) for token in self._frame)
        if not self._next_sentence:
            return np.concatenate([bos, self._tokens(starts, self._length), eos], axis=1), {}
        first = self._length // 2
        is_elsewhere = random.random(len(starts)) < 0.5
        elsewhere = random.integers(0, len(self._split.tokens), len(starts))
        seconds = np.where(is_elsewhere, elsewhere, starts + first)
        left, right = self._tokens(starts, first), self._tokens(seconds, self._length - first)
        rows = np.concatenate([bos, left, eos, right, eos], axis=1)
        segment_ids = np.zeros(rows.shape, np.int32)
        segment_ids[:, first + 2 :] = 1
        return rows, {
            features.SEGMENT_IDS: segment_ids,
            features.IS_ELSEWHERE: is_elsewhere.astype(np.int32),
            features.ROW_WEIGHTS: np.full(len(rows), 1 / len(rows), np.float32),
        }

    def _tokens(self, starts: np.ndarray, length: int) -> np.ndarray:
        tokens = self._split.tokens
        return np.asarray(tokens[(starts[:, None] + np.arange(length)) % len(tokens)], np.int32)
