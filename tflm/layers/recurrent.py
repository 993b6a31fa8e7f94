"""LSTM and GRU with the input product taken out of the loop.

LSTM: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000. GRU: Cho et al. 2014, in the form
with the reset gate behind the product (what cuDNN and Keras' `reset_after=True` compute).

The products with the inputs do not depend on the state, so one matrix product serves all T steps; only the product
with the state stays in the loop. Weights have Keras' names, shapes and gate order.

Weight drop: Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models", section 3: DropConnect (Wan et al.
2013) on the product with the state, one mask for all T steps.

Padding: a step that may not be seen has its input gate closed and its forget gate (the update gate of a GRU) open, by
what is added in front of the loop. The cell (the GRU's state) then goes through it unchanged, bit by bit, and no loop
needs to know of it; the LSTM's hidden state at such a step means nothing.

Shapes: B batch, T time, D input, U units.
"""

import contextlib

import keras
import numpy as np
from keras import ops

from tflm.errors import unknown_name
from tflm.layers.dropout import Dropout
from tflm.layers.lstm_over_time import lstm_over_time, lstm_step


class LSTMCell(keras.layers.Layer):
    """One step. Gates in the order input, forget, candidate, output."""

    gates = 4
    passing = (-1.0, 1.0, 0.0, 0.0)  # the gates of a step that leaves the cell as it is
    state_names = ("hidden", "cell")

    def __init__(self, units, name):
        super().__init__(name=name)
        self.units = units
        self.state_size = [units, units]
        self.output_size = units

    def build(self, shape):
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, 4 * self.units), name="recurrent_kernel"
        )
        self.built = True

    def call(self, projected, states):
        """
        Args:
            projected: (B, 4 U), the inputs times the kernel, plus the bias.
            states: [hidden (B, U), cell (B, U)].

        Returns:
            output (B, U) and the new states.
        """
        hidden, cell = states
        hidden, cell, _ = lstm_step(projected + ops.matmul(hidden, self.recurrent_kernel), cell)
        return hidden, [hidden, cell]


class GRUCell(keras.layers.Layer):
    """One step. Gates in the order update, reset, candidate."""

    gates = 3
    passing = (1.0, 0.0, 0.0)
    state_names = ("hidden",)
    replaced_kernel = None

    def __init__(self, units, name):
        super().__init__(name=name)
        self.units = units
        self.state_size = [units]
        self.output_size = units

    def build(self, shape):
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, 3 * self.units), name="recurrent_kernel"
        )
        self.recurrent_bias = self.add_weight(
            shape=(3 * self.units,), initializer="zeros", name="recurrent_bias"
        )
        self.built = True

    @contextlib.contextmanager
    def with_kernel(self, kernel):
        """Inside, the cell computes with `kernel`: Keras' loop hands a cell nothing but inputs and states."""
        self.replaced_kernel = kernel
        try:
            yield
        finally:
            self.replaced_kernel = None

    def call(self, projected, states):
        """As LSTMCell.call, with (B, 3 U) and [hidden]."""
        (hidden,) = states
        kernel = self.recurrent_kernel if self.replaced_kernel is None else self.replaced_kernel
        inner = ops.matmul(hidden, kernel) + self.recurrent_bias
        update_x, reset_x, candidate_x = ops.split(projected, 3, axis=-1)
        update_h, reset_h, candidate_h = ops.split(inner, 3, axis=-1)
        update = ops.sigmoid(update_x + update_h)
        candidate = ops.tanh(candidate_x + ops.sigmoid(reset_x + reset_h) * candidate_h)
        hidden = update * hidden + (1 - update) * candidate
        return hidden, [hidden]


CELLS = {"lstm": LSTMCell, "gru": GRUCell}
SATURATED = 1e4  # sigmoid(+-1e4) is 1 or 0 in every precision, and 1e4 is finite in float16


class Recurrent(keras.layers.Layer):
    """A recurrent layer over time that takes and returns its state.

    Args:
        cell: one of CELLS.
        units: U.
        weight_dropout: share of the recurrent kernel that is set to 0 in training.
    """

    def __init__(self, cell, units, name, weight_dropout=0.0):
        super().__init__(name=name)
        if cell not in CELLS:
            raise unknown_name("cell", cell, CELLS)
        self.cell = CELLS[cell](units, name="cell")
        self.input_projection = keras.layers.Dense(self.cell.gates * units, name="input_projection")
        self.loop = keras.layers.RNN(
            self.cell, return_sequences=True, return_state=True, name="loop"
        )
        self.weight_dropout = Dropout(weight_dropout, name="weight_dropout")

    def build(self, shape):
        self.weight_dropout.build(None)
        self.input_projection.build(shape)
        self.loop.build((*shape[:-1], self.cell.gates * self.cell.units))
        self.built = True

    def call(self, x, states, visible=None, training=None):
        """
        Args:
            x: (B, T, D).
            states: a list of (B, U), one for each of the cell's state_names.
            visible: (B, T) bool, False at steps that leave the cell as it is; None for none.

        Returns:
            (B, T, U) and the states after the last step.
        """
        if training and self.cell.state_names == LSTMCell.state_names:
            return self._differentiable(x, states, visible)
        projected = self._passing(self.input_projection(x), visible)
        states = [ops.cast(state, projected.dtype) for state in states]
        if not training or not self.weight_dropout.rate:
            return self._over_time(projected, states)
        with self.cell.with_kernel(self._dropped_kernel(projected.dtype)):
            return self._over_time(projected, states)

    def _over_time(self, projected, states):
        if projected.shape[1] == 1:
            # A loop of one step is slower, and an exported one hard to optimise.
            output, states = self.cell(projected[:, 0], states)
            return output[:, None], states
        output, *states = self.loop(projected, initial_state=states)
        return output, states

    def _differentiable(self, x, states, visible):
        projected = self.input_projection(ops.transpose(x, (1, 0, 2)))  # (T, B, 4 U)
        projected = self._passing(projected, None if visible is None else ops.transpose(visible))
        kernel = self._dropped_kernel(projected.dtype)
        states = [ops.cast(state, projected.dtype) for state in states]
        outputs, *states = lstm_over_time(projected, kernel, *states)
        return ops.transpose(outputs, (1, 0, 2)), states

    def _passing(self, projected, visible):
        if visible is None:
            return projected
        passing = SATURATED * np.repeat(np.array(self.cell.passing, "float32"), self.cell.units)
        return ops.where(visible[..., None], projected, ops.cast(passing, projected.dtype))

    def _dropped_kernel(self, dtype):
        """The recurrent kernel of a step of training, with one mask for the whole sequence."""
        # A copy: what has a gradient of its own takes tensors and no variables.
        kernel = ops.cast(ops.copy(self.cell.recurrent_kernel), dtype)
        return self.weight_dropout(kernel, training=True)
