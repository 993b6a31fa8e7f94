"""Stacked LSTMs that look at a source at every step.

Luong et al. 2015, section 3: the state of a step asks the source, and h~ = tanh(W [c; h]) (equation 5) goes to the
output; with input feeding (section 3.3) h~ also goes into the next step. Bahdanau et al. 2015: the state before a step
asks, and the average goes into the step. One difference: what goes to the output is equation 5 there too, in place of
their maxout layer.

Without a way from the attention back into the LSTMs, all steps ask at once, after the LSTMs are through; with one, the
steps go one by one.

Shapes: B batch, T time, E embedding and output, U units, S source time.
"""

import keras
from keras import ops

from tflm import backend
from tflm.layers.dropout import Dropout
from tflm.layers.recurrent import Recurrent
from tflm.layers.source_attention import SourceAttention


class AttentiveLSTM(keras.layers.Layer):
    """
    Args:
        num_layers: of LSTMs, each of U = `units`.
        width: E.
        attention: luong or bahdanau.
        input_feeding: whether h~ goes into the next step; of luong.
        dropout: rate of what one layer hands to the next.
    """

    def __init__(self, num_layers, units, width, attention, input_feeding, dropout, name):
        super().__init__(name=name)
        self.units, self.width = units, width
        self.asks_first = attention == "bahdanau"
        self.feeds = input_feeding and not self.asks_first
        self.layers_over_time = [
            Recurrent("lstm", units, name=f"recurrent_{i}") for i in range(num_layers)
        ]
        self.attention = SourceAttention(attention, units, name="attention")
        self.combine = keras.layers.Dense(width, activation="tanh", name="combine")
        self.feed = None
        if self.asks_first or self.feeds:
            self.feed = keras.layers.Dense(4 * units, use_bias=False, name="feed")
        self.dropout = Dropout(dropout, name="dropout")

    def build(self, shape):
        for i, layer in enumerate(self.layers_over_time):
            layer.build((None, None, self.units if i else shape[-1]))
        self.attention.build(None)
        self.combine.build((None, None, 2 * self.units))
        if self.feed is not None:
            self.feed.build((None, self.width if self.feeds else self.units))
        self.dropout.build(None)
        self.built = True

    def read(self, source):
        """(B, S, U) -> the keys of `call`, (B, S, U)."""
        return self.attention.read(source)

    def call(self, x, states, keys, values, visible, training=None):
        """
        Args:
            x: (B, T, E), the embeddings of the target.
            states: hidden and cell, (B, U), of every layer in turn; with input feeding also the last h~ (B, E).
            keys: of `read`. values: (B, S, U), the source. visible: (B, S) bool.

        Returns:
            (B, T, E), what goes to the output; (B, T, U), what asked the source; and the states after the last step.
        """
        if self.feed is not None:
            return self._step_by_step(x, states, (keys, values, visible), training)
        after = []
        for i, layer in enumerate(self.layers_over_time):
            if i:
                x = self.dropout(x, training=training)
            x, layer_states = layer(x, states[2 * i : 2 * i + 2], training=training)
            after += layer_states
        return self._output(x, self.attention(x, keys, values, visible)), x, after

    def _output(self, hidden, average):
        return self.combine(ops.concatenate([average, hidden], axis=-1))

    def _step_by_step(self, x, states, source, training):
        # The products with the embeddings need no state: one for all steps.
        projected = self.layers_over_time[0].input_projection(ops.transpose(x, (1, 0, 2)))
        # Random numbers are drawn in front of the loop, which must not change the generator.
        masks = []
        if training and self.dropout.rate:
            ones = ops.ones_like(projected[..., : self.units])
            masks = [self.dropout(ones, training=True) for _ in self.layers_over_time[1:]]

        def ask(query):
            return ops.cast(self.attention(query[:, None], *source)[:, 0], projected.dtype)

        def step(states, inputs):
            projected, *masks = inputs
            states = list(states)
            query = states[-2]
            fed = average = ask(query) if self.asks_first else None
            if self.feeds:
                fed = states.pop()
            preactivations, after = projected + self.feed(fed), []
            for i, layer in enumerate(self.layers_over_time):
                if i:
                    lower = after[-2] * masks[i - 1] if masks else after[-2]
                    preactivations = layer.input_projection(lower)
                hidden, layer_states = layer.cell(preactivations, states[2 * i : 2 * i + 2])
                after += layer_states
            if self.asks_first:
                return tuple(after), (hidden, average, query)
            output = self._output(hidden, ask(hidden))
            return (*after, output), (output, hidden)

        states = tuple(ops.cast(state, projected.dtype) for state in states)
        if projected.shape[0] == 1:
            # A loop of one step is slower, and an exported one hard to optimise.
            states, outputs = step(states, (projected[0], *(mask[0] for mask in masks)))
            outputs = [value[:, None] for value in outputs]
        else:
            states, outputs = backend.scan(step, states, (projected, *masks))
            outputs = [ops.transpose(value, (1, 0, 2)) for value in outputs]
        if self.asks_first:
            hidden, average, query = outputs
            return self._output(hidden, average), query, list(states)
        output, hidden = outputs
        return output, hidden, list(states)
