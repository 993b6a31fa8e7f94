"""-log p of a whole text, every token predicted exactly once, with as much context as the model can use.

A model with a limited context T reads windows that overlap by half; only the second half of a window counts, so every
token has at least T/2 tokens before it (the first window counts whole):

    tokens    b 1 2 3 4 5 6 7 8 9
    window 0  [1 2 3 4]               reads b 1 2 3, predicts 1 2 3 4
    window 1       . . [5 6]          reads 3 4 5 6 from token 2: predicts 3 4 5 6, counts 5 6
    window 2           . . [7 8]      ...

A model whose state has a fixed size reads the text in lanes, at most as many as the batch has rows, and carries its
state from one chunk to the next; each lane begins without a state, so a lane is at least LANE_CHUNKS chunks long.

Shapes: B batch, T time, N tokens of the text.
"""

import numpy as np
from keras import ops

from tflm.backend import compiled
from tflm.metrics.cross_entropy import scores

LANE_CHUNKS = 16


class RollingScorer:
    """Scores texts with one model; keep it to avoid compiling again.

    Args:
        model: any language model of `tflm.models`.
        sequence_length: T, at most the model's max_sequence_length.
        batch_size: B.
        not_predicted: the id of a token that is given and never predicted: BOS.
        apart: whether documents, which begin with that token, do not see each other; for a model trained that way.
    """

    def __init__(
        self,
        model,
        sequence_length: int,
        batch_size: int,
        not_predicted: int,
        apart: bool = False,
    ):
        limit = model.max_sequence_length
        self.sequence_length = min(sequence_length, limit) if limit else sequence_length
        self.model = model
        self.batch_size = batch_size
        self.not_predicted = not_predicted
        self.apart = apart
        self._windows = compiled(model, self._score_windows)
        self._lanes = compiled(model, self._score_lanes)

    def _score_windows(self, ids, labels, weights):
        documents = {}
        if self.apart:
            begins = ops.cast(ids == self.not_predicted, "int32")
            documents = {"segment_ids": ops.cumsum(begins, axis=1)}
        hidden, _ = self.model.hidden(ids, training=False, **documents)
        return ops.sum(scores(self.model, hidden, labels) * weights, axis=-1)

    def _score_lanes(self, ids, labels, weights, state, position):
        hidden, state = self.model.hidden(ids, state, position, training=False)
        return ops.sum(scores(self.model, hidden, labels) * weights, axis=-1), state

    def score(self, tokens: np.ndarray, progress=None) -> tuple[float, int]:
        """The sum of nats and the number of tokens predicted.

        Args:
            tokens: (N,) integers; the first one is only read. May be memory-mapped.
            progress: called as progress("evaluate", done, total) with counts of batches.
        """
        if len(tokens) < 2:
            return 0.0, 0
        batches = self._window_batches if self.model.max_sequence_length else self._lane_batches
        total, count = 0.0, 0
        num_batches, iterator = batches(tokens)
        state, position = None, 0
        for done, (ids, labels, counted) in enumerate(iterator):
            counted = counted & (labels != self.not_predicted)
            weights = counted.astype("float32")
            if self.model.max_sequence_length:
                nats = self._windows(ids, labels, weights)
            else:
                if state is None:
                    state = self.model.initial_state(len(ids), self.sequence_length)
                nats, state = self._lanes(ids, labels, weights, state, np.int32(position))
                position += ids.shape[1]
            total += float(np.sum(ops.convert_to_numpy(nats), dtype="float64"))
            count += int(counted.sum())
            if progress is not None:
                progress("evaluate", done + 1, num_batches)
        return total, count

    def _window_batches(self, tokens):
        length, batch = self.sequence_length, self.batch_size
        stride = max(length // 2, 1)
        num_labels = len(tokens) - 1
        # Window i ends behind label i * stride + length; the first one counts whole.
        num_windows = 1 + max(0, -(-(num_labels - length) // stride))
        num_batches = -(-num_windows // batch)

        def iterate():
            for first in range(0, num_batches * batch, batch):
                windows = np.arange(first, first + batch)
                places = windows[:, None] * stride + np.arange(length)[None, :]
                valid = (places < num_labels) & (windows < num_windows)[:, None]
                counted = valid & ((windows == 0)[:, None] | (np.arange(length) >= length - stride))
                places = np.minimum(places, num_labels - 1)
                yield _gather(tokens, places), _gather(tokens, places + 1), counted

        return num_batches, iterate()

    def _lane_batches(self, tokens):
        length = self.sequence_length
        num_labels = len(tokens) - 1
        batch = max(1, min(self.batch_size, num_labels // (LANE_CHUNKS * length)))
        lane_length = -(-num_labels // batch)
        num_batches = -(-lane_length // length)

        def iterate():
            starts = np.arange(batch)[:, None] * lane_length
            for first in range(0, lane_length, length):
                within = first + np.arange(length)[None, :]
                places = starts + within
                counted = (within < lane_length) & (places < num_labels)
                places = np.minimum(places, num_labels - 1)
                yield _gather(tokens, places), _gather(tokens, places + 1), counted

        return num_batches, iterate()


def _gather(tokens, places):
    return np.asarray(tokens[places.reshape(-1)], "int32").reshape(places.shape)
