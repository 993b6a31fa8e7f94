"""The position-wise feed-forward network of a Transformer block."""

import keras
from keras import ops

from tflm.errors import unknown_name

ACTIVATIONS = ("relu", "gelu", "gelu_exact", "swiglu")


class FeedForward(keras.layers.Layer):
    """Two products with ReLU (Vaswani et al. 2017, eq. 2) or GELU (tanh form) between them, or SwiGLU (Shazeer 2020,
    "GLU Variants", eq. 6).

    The tanh form of GELU is the usual one here because the exact one has no operator on several runtimes; `gelu_exact`
    is for weights that were trained with it.

    Args:
        hidden_dim: D, in and out.
        intermediate_dim: width in between.
        activation: one of ACTIVATIONS.
    """

    def __init__(self, hidden_dim, intermediate_dim, activation, use_bias, name):
        super().__init__(name=name)
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        self.activation = activation
        self.intermediate_dim = intermediate_dim
        width = 2 * intermediate_dim if activation == "swiglu" else intermediate_dim
        self.expand = keras.layers.Dense(width, use_bias=use_bias, name="expand")
        self.output_projection = keras.layers.Dense(
            hidden_dim, use_bias=use_bias, name="output_projection"
        )

    def build(self, shape):
        self.expand.build(shape)
        self.output_projection.build((*shape[:-1], self.intermediate_dim))
        self.built = True

    def call(self, x):
        """(B, T, D) -> (B, T, D)."""
        x = self.expand(x)
        if self.activation == "swiglu":
            gate, x = ops.split(x, 2, axis=-1)
            x = ops.silu(gate) * x
        elif self.activation == "relu":
            x = ops.relu(x)
        else:
            x = ops.gelu(x, approximate=self.activation == "gelu")
        return self.output_projection(x)
