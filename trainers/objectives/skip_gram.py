"""Skip-gram with negative sampling: a word's vector predicts the words around it.

Mikolov et al. 2013b, "Distributed Representations of Words and Phrases and their Compositionality", equation 4; over
the vectors of FastText, Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information", equation 1. For a
word with input vector v and a word with output vector u the gradient of the loss is (sigmoid(u v) - target) times the
other vector: for all pairs of a block and its frame, that is one matrix product for the scores and one for each side.

Shapes: as in negative_sampling.py; X = F + K, what a block meets.
"""

import dataclasses

import numpy as np
from keras import ops

from tflm.backend import add_rows
from tflm.data.word_chunks import NEGATIVE_IDS, POSITION_IDS
from trainers.objectives.frames import Frames, add_to_inputs, input_sums
from trainers.objectives.negative_sampling import (
    NegativeSamplingConfig,
    NegativeSamplingObjective,
)


@dataclasses.dataclass
class SkipGramConfig(NegativeSamplingConfig):
    __doc__ = NegativeSamplingConfig.__doc__


class SkipGramObjective(NegativeSamplingObjective):
    def meet(self, tables, chunk):
        return _Meetings(tables, chunk, self.config)


class _Meetings:
    """All pairs of the words of each block with the words of its frame and its negatives.

    Attributes:
        inputs: (n, L, D). outputs: (n, X, D), their ids (n, X).
        scores, weights: (n, L, X); a weight is 0 where a word does not reach.
        is_pair: (X,), False for negatives.
    """

    def __init__(self, tables, chunk, config):
        self.tables, self.chunk = tables, chunk
        self.frames = frames = Frames(chunk)
        sums, counts = input_sums(tables["input"], chunk)
        self.inputs = frames.centers(sums / ops.maximum(counts, 1.0)[:, None])
        negatives = chunk[NEGATIVE_IDS]
        self.output_ids = ops.concatenate([frames.of(chunk[POSITION_IDS]), negatives], axis=1)
        self.outputs = ops.take(tables["output"], self.output_ids, axis=0)
        self.scores = ops.matmul(self.inputs, ops.swapaxes(self.outputs, 1, 2))
        pairs = ops.sum(frames.mask, axis=-1, keepdims=True)  # (n, L, 1)
        share = config.negatives / negatives.shape[-1]
        drawn = ops.broadcast_to(pairs * share, (*frames.mask.shape[:2], negatives.shape[-1]))
        self.weights = ops.concatenate([frames.mask, drawn], axis=-1)
        self.is_pair = np.arange(frames.length + negatives.shape[-1]) < frames.length

    def loss(self, num_blocks: int | None = None):
        scores, weights = self.scores[:num_blocks], self.weights[:num_blocks]
        losses = ops.softplus(ops.where(self.is_pair, -scores, scores))
        return ops.sum(losses * weights), ops.sum(self.frames.mask[:num_blocks])

    def learn(self, learning_rate):
        targets = self.is_pair.astype("float32")
        # -dloss/dscore, times the rate: (n, L, X).
        errors = self.weights * (targets - ops.sigmoid(self.scores)) * learning_rate
        inputs = ops.matmul(errors, self.outputs)  # (n, L, D)
        outputs = ops.matmul(ops.swapaxes(errors, 1, 2), self.inputs)  # (n, X, D)
        ids = ops.reshape(self.output_ids, (-1,))
        return (
            add_to_inputs(self.tables["input"], self.chunk, self.frames.around(inputs)),
            add_rows(self.tables["output"], ids, ops.reshape(outputs, (ids.shape[0], -1))),
        )
