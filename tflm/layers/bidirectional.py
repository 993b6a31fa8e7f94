"""Two LSTMs over a sequence, one from each end.

Schuster and Paliwal 1997, "Bidirectional Recurrent Neural Networks".

Shapes: B batch, S time, D input, U units of each direction.
"""

import keras
from keras import ops

from tflm.layers.recurrent import Recurrent


class Bidirectional(keras.layers.Layer):
    """What stands at the end as padding changes nothing: the way back begins at the last token of each row.

    Args:
        units: U.
    """

    def __init__(self, units, name):
        super().__init__(name=name)
        self.units = units
        self.ahead = Recurrent("lstm", units, name="recurrent_ahead")
        self.back = Recurrent("lstm", units, name="recurrent_back")

    def build(self, shape):
        self.ahead.build(shape)
        self.back.build(shape)
        self.built = True

    def call(self, x, visible, training=None):
        """
        Args:
            x: (B, S, D). visible: (B, S) bool, True up to the last token of each row.

        Returns:
            (B, S, 2 U), which means nothing where `visible` is False; and hidden and cell, (B, 2 U), each after the
            last step of its direction.
        """
        zeros = ops.zeros((ops.shape(x)[0], self.units), x.dtype)
        ahead, (_, ahead_cell) = self.ahead(x, [zeros, zeros], visible=visible, training=training)
        # The cell goes through padding as it is; the hidden state is taken from in front of it.
        counts = ops.sum(ops.cast(visible, "int32"), axis=1, keepdims=True)
        is_last = ops.equal(ops.arange(1, ops.shape(x)[1] + 1, dtype="int32")[None], counts)
        ahead_hidden = ops.sum(ops.where(is_last[..., None], ahead, 0), axis=1)
        # From the end the padding comes first, and leaves the state at 0.
        back, (back_hidden, back_cell) = self.back(
            ops.flip(x, axis=1),
            [zeros, zeros],
            visible=ops.flip(visible, axis=1),
            training=training,
        )
        return (
            ops.concatenate([ahead, ops.flip(back, axis=1)], axis=-1),
            ops.concatenate([ahead_hidden, back_hidden], axis=-1),
            ops.concatenate([ahead_cell, back_cell], axis=-1),
        )
