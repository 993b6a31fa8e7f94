"""Causal self-attention with grouped keys and a cache.

Vaswani et al. 2017, "Attention Is All You Need", equation 1; grouped queries by Ainslie et al. 2023, "GQA".

Shapes: B batch, T time, D hidden, H query heads, K key-value heads, G = H / K, Dh = D / H, S cache length.
"""

import keras
from keras import ops

from tflm.layers.dropout import Dropout
from tflm.layers.rotary import rotate

HIDDEN = -1e9  # added to the score of a slot that may not be seen; finite in bfloat16 too


class CausalSelfAttention(keras.layers.Layer):
    """Attention of every position to itself and the positions before it.

    Args:
        hidden_dim: D.
        num_heads: H.
        num_key_value_heads: K, a divisor of H. K = H is ordinary multi-head attention.
        rotary_base: longest wavelength of the rotary embedding; None for no rotation.
        dropout: rate on the attention weights.
        use_bias: whether the projections have a bias.
    """

    def __init__(
        self, hidden_dim, num_heads, num_key_value_heads, rotary_base, dropout, use_bias, name
    ):
        super().__init__(name=name)
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = hidden_dim // num_heads
        self.rotary_base = rotary_base
        # One product for queries, keys and values.
        width = (num_heads + 2 * num_key_value_heads) * self.head_dim
        self.query_key_value = keras.layers.Dense(width, use_bias=use_bias, name="query_key_value")
        self.output_projection = keras.layers.Dense(
            hidden_dim, use_bias=use_bias, name="output_projection"
        )
        self.dropout = Dropout(dropout, name="dropout")

    def build(self, shape):
        self.query_key_value.build(shape)
        self.output_projection.build((*shape[:-1], self.num_heads * self.head_dim))
        self.built = True

    def call(self, x, position=0, cache=None, training=None):
        """
        Args:
            x: (B, T, D).
            position: () int32, the position of x[:, 0].
            cache: None, or keys and values of the positions before, each (B, S, K, Dh).

        Returns:
            (B, T, D) and the cache with this call's keys and values written at `position` (or None).
        """
        batch, time = ops.shape(x)[0], ops.shape(x)[1]
        heads, groups = self.num_heads, self.num_key_value_heads
        mixed = self.query_key_value(x)
        mixed = ops.reshape(mixed, (batch, time, heads + 2 * groups, self.head_dim))
        # Split, not sliced: the gradient of a slice writes all of `mixed` again, and on one core.
        query_key, value = ops.split(mixed, [heads + groups], axis=2)
        positions = position + ops.arange(time, dtype="int32")
        if self.rotary_base is not None:
            query_key = rotate(query_key, positions, self.rotary_base)
        query, key = ops.split(query_key, [heads], axis=2)
        # The scale is applied before q.k: behind the product it keeps oneDNN from its fast kernel.
        query = query * self.head_dim**-0.5
        if cache is not None:
            key = ops.slice_update(cache[0], (0, position, 0, 0), ops.cast(key, cache[0].dtype))
            value = ops.slice_update(cache[1], (0, position, 0, 0), ops.cast(value, cache[1].dtype))
            cache = (key, value)
            slots = ops.arange(ops.shape(key)[1], dtype="int32")
        else:
            slots = positions
        visible = slots[None, :] <= positions[:, None]  # (T, S)

        # Query heads that share a key head stand together in rows, so that no key is ever copied.
        query = ops.reshape(query, (batch, time, groups, heads // groups, self.head_dim))
        query = ops.transpose(query, (0, 2, 3, 1, 4))  # (B, K, G, T, Dh)
        query = ops.reshape(query, (batch, groups, (heads // groups) * time, self.head_dim))
        key = ops.transpose(ops.cast(key, query.dtype), (0, 2, 3, 1))  # (B, K, Dh, S)
        scores = ops.matmul(query, key)  # (B, K, G * T, S)
        scores = ops.reshape(scores, (batch, groups, heads // groups, time, ops.shape(slots)[0]))
        bias = ops.where(visible, 0.0, HIDDEN)
        weights = ops.softmax(ops.cast(scores, "float32") + bias, axis=-1)
        weights = self.dropout(ops.cast(weights, query.dtype), training=training)
        weights = ops.reshape(weights, (batch, groups, (heads // groups) * time, -1))
        value = ops.transpose(ops.cast(value, query.dtype), (0, 2, 1, 3))  # (B, K, S, Dh)
        mixed = ops.matmul(weights, value)  # (B, K, G * T, Dh)
        mixed = ops.reshape(mixed, (batch, heads, time, self.head_dim))
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (batch, time, heads * self.head_dim))
        return self.output_projection(mixed), cache
