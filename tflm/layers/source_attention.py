"""The attention of a recurrent decoder to its source.

Bahdanau et al. 2015, "Neural Machine Translation by Jointly Learning to Align and Translate", section A.1.2, and the
`general` score of Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine Translation", equation 8.

Shapes: B batch, T steps of the target, S source time, U units of the decoder and width of the source.
"""

import keras
from keras import ops

from tflm.errors import unknown_name
from tflm.layers.attention import HIDDEN

SCORES = ("luong", "bahdanau")


class SourceAttention(keras.layers.Layer):
    """Averages of the source, weighted by how well its places fit a query.

    score(q, s) = q . W s (luong), or v . tanh(W q + M s + b) (bahdanau).

    Args:
        score: one of SCORES.
        units: U.
    """

    def __init__(self, score, units, name):
        super().__init__(name=name)
        if score not in SCORES:
            raise unknown_name("attention", score, SCORES)
        self.units = units
        self.is_additive = score == "bahdanau"
        self.key = keras.layers.Dense(units, use_bias=self.is_additive, name="key")
        if self.is_additive:
            self.query = keras.layers.Dense(units, use_bias=False, name="query")
            self.score = keras.layers.Dense(1, use_bias=False, name="score")

    def build(self, shape):
        for layer in (self.key, self.query, self.score) if self.is_additive else (self.key,):
            layer.build((None, None, self.units))
        self.built = True

    def read(self, source):
        """The keys of a source: (B, S, U) -> (B, S, U)."""
        return self.key(source)

    def attention_weights(self, queries, keys, visible):
        """(B, T, U), (B, S, U) and (B, S) bool -> (B, T, S) float32, which sums to 1 over what is visible."""
        if self.is_additive:
            sums = self.query(queries)[:, :, None] + keys[:, None]  # (B, T, S, U)
            scores = self.score(ops.tanh(sums))[..., 0]
        else:
            scores = ops.matmul(queries, ops.transpose(keys, (0, 2, 1)))
        hidden = ops.where(visible, 0.0, HIDDEN)[:, None]
        return ops.softmax(ops.cast(scores, "float32") + hidden, axis=-1)

    def call(self, queries, keys, values, visible):
        """As `attention_weights`, with `values` (B, S, U) -> the averages, (B, T, U)."""
        weights = self.attention_weights(queries, keys, visible)
        return ops.matmul(ops.cast(weights, values.dtype), values)
