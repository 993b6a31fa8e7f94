"""Dropout whose random state has a place of its own in the model.

Shapes: B batch, T time, D hidden, V vocabulary.
"""

import keras
from keras import ops


class Dropout(keras.layers.Layer):
    """Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".

    keras.layers.Dropout names the state of its random generator by a count over the whole process, so that the second
    model of a process has other names than the first, and a checkpoint fits only one of them. Here the state has the
    path of its layer.

    Args:
        rate: share of the values that are set to 0 in training; the others are scaled by 1 / (1 - rate).
        shared_axes: axes along which all values share one draw. (1,) of (B, T, D) keeps a mask constant over time:
            variational dropout (Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in
            Recurrent Neural Networks"); (1, 2) on a residual branch leaves it out of whole rows: stochastic depth
            (Huang et al. 2016, "Deep Networks with Stochastic Depth").
    """

    def __init__(self, rate: float, name: str, shared_axes: tuple[int, ...] = ()):
        super().__init__(name=name)
        self.rate = rate
        self.shared_axes = shared_axes

    def build(self, shape):
        if self.rate:
            self.seed_generator = keras.random.SeedGenerator(name="seed_generator")
        self.built = True

    def call(self, x, training=None):
        if not training or not self.rate:
            return x
        noise_shape = None
        if self.shared_axes:
            sizes = enumerate(ops.shape(x))
            noise_shape = tuple(1 if axis in self.shared_axes else size for axis, size in sizes)
        return keras.random.dropout(x, self.rate, noise_shape=noise_shape, seed=self.seed_generator)


class WordDropout(Dropout):
    """Drops words, each with all its occurrences (Gal and Ghahramani 2016, section 4.2).

    Args:
        rate: share of the vocabulary that is dropped.
        vocabulary_size: V.
    """

    def __init__(self, rate: float, vocabulary_size: int, name: str):
        super().__init__(rate, name)
        self.vocabulary_size = vocabulary_size

    def call(self, x, token_ids, training=None):
        """(B, T, D), the embeddings of token_ids (B, T) -> (B, T, D)."""
        if not training or not self.rate:
            return x
        kept = super().call(ops.ones((self.vocabulary_size, 1)), training)  # 0 or 1 / (1 - rate)
        return x * ops.cast(ops.take(kept, token_ids, axis=0), x.dtype)
