"""One pre-norm Transformer block."""

import keras

from tflm.layers.attention import CausalSelfAttention
from tflm.layers.dropout import Dropout
from tflm.layers.feed_forward import FeedForward
from tflm.layers.normalization import normalization


class TransformerBlock(keras.layers.Layer):
    """x + attention(norm(x)), then x + feed_forward(norm(x)): the order of GPT-2.

    Args:
        config: a GPTConfig.
    """

    def __init__(self, config, name):
        super().__init__(name=name)
        self.attention_norm = normalization(config.normalization, "attention_norm")
        self.attention = CausalSelfAttention(
            hidden_dim=config.hidden_dim,
            num_heads=config.num_heads,
            num_key_value_heads=config.num_key_value_heads or config.num_heads,
            rotary_base=config.rotary_base if config.positions == "rotary" else None,
            dropout=config.dropout,
            use_bias=config.use_bias,
            name="attention",
        )
        self.feed_forward_norm = normalization(config.normalization, "feed_forward_norm")
        self.feed_forward = FeedForward(
            hidden_dim=config.hidden_dim,
            intermediate_dim=config.intermediate_dim or 4 * config.hidden_dim,
            activation=config.activation,
            use_bias=config.use_bias,
            name="feed_forward",
        )
        self.dropout = Dropout(config.dropout, name="dropout")

    def build(self, shape):
        for layer in (
            self.attention_norm,
            self.attention,
            self.feed_forward_norm,
            self.feed_forward,
        ):
            layer.build(shape)
        self.built = True

    def call(self, x, position=0, cache=None, training=None):
        """(B, T, D) and the cache -> the same, as CausalSelfAttention."""
        mixed, cache = self.attention(
            self.attention_norm(x), position=position, cache=cache, training=training
        )
        x = x + self.dropout(mixed, training=training)
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)), training=training)
        return x, cache
