"""CBOW with negative sampling: the average of the words around a word predicts it.

Mikolov et al. 2013a, "Efficient Estimation of Word Representations in Vector Space", section 3.1, with the loss of
Mikolov et al. 2013b, equation 4. As in word2vec.c (and gensim with cbow_mean), the error of the average is added to
each of its vectors undivided: the step is that of the average, times the number of words in it. Over FastText's
vectors the average is that of all words' and subwords' rows.

Shapes: as in negative_sampling.py.
"""

import dataclasses

from keras import ops

from tflm.backend import add_rows
from tflm.data.word_chunks import NEGATIVE_IDS, POSITION_IDS
from trainers.objectives.frames import Frames, add_to_input_frames, input_frames
from trainers.objectives.negative_sampling import (
    NegativeSamplingConfig,
    NegativeSamplingObjective,
)


@dataclasses.dataclass
class CBOWConfig(NegativeSamplingConfig):
    __doc__ = NegativeSamplingConfig.__doc__
    shared_negatives: int = 16  # a word meets fewer of them than in skip-gram; more gain nothing


class CBOWObjective(NegativeSamplingObjective):
    def meet(self, tables, chunk):
        return _Meetings(tables, chunk, self.config)


class _Meetings:
    """Every average of a window with the word in its middle and with its block's negatives.

    Attributes:
        averages: (n, L, D), the input side.
        words, negatives: (n, L, D), (n, K, D), the output side; output_ids (n, L + K).
        own, drawn: their scores, (n, L, 1) and (n, L, K).
        has_context: (n, L, 1), 0 where a window is empty.
    """

    def __init__(self, tables, chunk, config):
        self.tables, self.chunk = tables, chunk
        self.frames = frames = Frames(chunk)
        sums, counts = input_frames(tables["input"], chunk, frames)
        total = ops.matmul(frames.mask, sums)  # (n, L, D)
        count = ops.sum(frames.mask * counts[:, None, :], axis=-1, keepdims=True)
        self.has_context = ops.cast(count > 0, "float32")
        self.averages = total / ops.maximum(count, 1.0)
        # One look-up and one change of the table: two would make XLA copy it.
        word_ids = frames.centers(chunk[POSITION_IDS])  # (n, L)
        self.output_ids = ops.concatenate([word_ids, chunk[NEGATIVE_IDS]], axis=1)
        outputs = ops.take(tables["output"], self.output_ids, axis=0)
        self.words, self.negatives = outputs[:, : frames.block], outputs[:, frames.block :]
        self.own = ops.sum(self.averages * self.words, axis=-1, keepdims=True)
        self.drawn = ops.matmul(self.averages, ops.swapaxes(self.negatives, 1, 2))
        self.share = config.negatives / chunk[NEGATIVE_IDS].shape[-1]

    def loss(self, num_blocks: int | None = None):
        losses = ops.softplus(-self.own[:num_blocks, :, 0])
        losses = losses + self.share * ops.sum(ops.softplus(self.drawn[:num_blocks]), axis=-1)
        has_context = self.has_context[:num_blocks, :, 0]
        return ops.sum(losses * has_context), ops.sum(has_context)

    def learn(self, learning_rate):
        rates = self.has_context * learning_rate
        # -dloss/dscore, times the rate: (n, L, 1) and (n, L, K).
        own = rates * (1 - ops.sigmoid(self.own))
        drawn = -rates * self.share * ops.sigmoid(self.drawn)
        averages = own * self.words + ops.matmul(drawn, self.negatives)  # (n, L, D)
        contexts = ops.matmul(ops.swapaxes(self.frames.mask, 1, 2), averages)  # (n, F, D)
        negatives = ops.matmul(ops.swapaxes(drawn, 1, 2), self.averages)  # (n, K, D)
        outputs = ops.concatenate([own * self.averages, negatives], axis=1)
        ids = ops.reshape(self.output_ids, (-1,))
        return (
            add_to_input_frames(self.tables["input"], self.chunk, self.frames, contexts),
            add_rows(self.tables["output"], ids, ops.reshape(outputs, (ids.shape[0], -1))),
        )
