"""Dropout whose random state has a place of its own in the model."""

import keras


class Dropout(keras.layers.Layer):
    """Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".

    keras.layers.Dropout names the state of its random generator by a count over the whole process, so that the second
    model of a process has other names than the first, and a checkpoint fits only one of them. Here the state has the
    path of its layer.

    Args:
        rate: share of the values that are set to 0 in training; the others are scaled by 1 / (1 - rate).
    """

    def __init__(self, rate: float, name: str):
        super().__init__(name=name)
        self.rate = rate

    def build(self, shape):
        if self.rate:
            self.seed_generator = keras.random.SeedGenerator(name="seed_generator")
        self.built = True

    def call(self, x, training=None):
        if not training or not self.rate:
            return x
        return keras.random.dropout(x, self.rate, seed=self.seed_generator)
