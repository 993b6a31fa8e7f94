"""What every model that predicts tokens is to the rest of the project, and every language model.

Shapes: B batch, T time, D what goes into the output layer, V vocabulary.
"""

import keras
from keras import ops


class TokenPredictor(keras.Model):
    """Logits over the vocabulary from hidden states, and these apart from them.

    (B, T, V) in float32 is the largest tensor of a training step: a loss or a score takes the hidden states, and makes
    the logits of few positions at a time (`tflm.metrics.cross_entropy`). A family has

        output_table()    -> (V, D), and the bias (V,) or None
    """

    def logits(self, hidden, output=None):
        """hidden table^T + bias: (..., D) -> (..., V) float32.

        `output` is what `output_table` returned, where it was read before, as in a function that is differentiated.
        """
        table, bias = output or self.output_table()
        logits = ops.matmul(hidden, ops.transpose(ops.cast(table, hidden.dtype)))
        if bias is not None:
            logits = logits + ops.cast(bias, hidden.dtype)
        return ops.cast(logits, "float32")


class LanguageModel(TokenPredictor):
    """One forward pass serves the whole text, the step and the loss.

    A family has, beside `output_table`,

        hidden(token_ids, state=None, position=0, training=None) -> (B, T, D), and the state after the tokens
        initial_state(batch_size, max_length)                    -> a dict

    `hidden` without a state begins a text.
    """

    def call(self, token_ids, training=None):
        """(B, T) int32 -> logits (B, T, V) float32 of a text that begins with token_ids[:, 0]."""
        return self.logits(self.hidden(token_ids, training=training)[0])

    def step(self, token_ids, state, position, training=None):
        """Goes on from `state`.

        Args:
            token_ids: (B, T) int32.
            state: what `initial_state` or the last `step` returned.
            position: () int32, the position of token_ids[:, 0].

        Returns:
            logits (B, T, V) float32, and the state after them.
        """
        hidden, state = self.hidden(token_ids, state, position, training)
        return self.logits(hidden), state
