"""Multi-head attention: causal with a cache, of a whole text to itself, or to a source that was read before.

Vaswani et al. 2017, "Attention Is All You Need", equation 1; grouped queries by Ainslie et al. 2023, "GQA".

Shapes: B batch, T time, D hidden, H query heads, K key-value heads, G = H / K, Dh = D / H, S keys (of the text, of the
cache, or of the source).
"""

import keras
from keras import ops

from tflm.errors import UserError
from tflm.layers.dropout import Dropout
from tflm.layers.rotary import rotate

HIDDEN = -1e9  # added to the score of a key that may not be seen; finite in bfloat16 too


def check_heads(config) -> None:
    """Raises UserError where the heads of a config, as of `transformer_block.check_block`, do not fit its widths."""
    if config.hidden_dim % config.num_heads:
        raise UserError(
            "`num_heads` must divide `hidden_dim`. "
            f"Received: num_heads={config.num_heads}, hidden_dim={config.hidden_dim}."
        )
    if config.num_key_value_heads and config.num_heads % config.num_key_value_heads:
        raise UserError(
            "`num_key_value_heads` must divide `num_heads`. Received: "
            f"num_key_value_heads={config.num_key_value_heads}, num_heads={config.num_heads}."
        )
    if config.positions == "rotary" and (config.hidden_dim // config.num_heads) % 2:
        raise UserError(
            "Rotary positions need heads of even width. "
            f"Received: hidden_dim={config.hidden_dim}, num_heads={config.num_heads}."
        )


def within_documents(segment_ids):
    """Where a row holds several documents: what each token may see, and where it stands in its own document.

    Args:
        segment_ids: (B, T) int32; equal numbers stand side by side.

    Returns:
        positions (B, T) int32, from 0 in every document, and visible (B, T, T) bool.
    """
    places = ops.arange(ops.shape(segment_ids)[1], dtype="int32")
    same = segment_ids[:, :, None] == segment_ids[:, None, :]
    visible = ops.logical_and(same, places[None, :] <= places[:, None])
    return ops.sum(ops.cast(visible, "int32"), axis=-1) - 1, visible


class Attention(keras.layers.Layer):
    """Attention of every position to the positions of its own text, or of a source.

    Args:
        hidden_dim: D.
        num_heads: H.
        num_key_value_heads: K, a divisor of H. K = H is ordinary multi-head attention.
        rotary_base: longest wavelength of the rotary embedding; None for no rotation.
        dropout: rate on the attention weights.
        use_bias: whether the projections have a bias.
        causal: whether a position sees itself and the positions before it only.
        of_source: whether keys and values are those of another sequence, see `read`; then nothing is rotated.
    """

    def __init__(
        self,
        hidden_dim,
        num_heads,
        num_key_value_heads,
        rotary_base,
        dropout,
        use_bias,
        name,
        causal=True,
        of_source=False,
    ):
        super().__init__(name=name)
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = hidden_dim // num_heads
        self.rotary_base = rotary_base
        self.causal = causal
        self.of_source = of_source
        queries, keys = num_heads * self.head_dim, num_key_value_heads * self.head_dim

        def dense(width, name):
            return keras.layers.Dense(width, use_bias=use_bias, name=name)

        # One product for all that is made of one input.
        if of_source:
            self.query = dense(queries, "query")
            self.key_value = dense(2 * keys, "key_value")
        else:
            self.query_key_value = dense(queries + 2 * keys, "query_key_value")
        self.output_projection = dense(hidden_dim, "output_projection")
        self.dropout = Dropout(dropout, name="dropout")

    def build(self, shape):
        for layer in (self.query, self.key_value) if self.of_source else (self.query_key_value,):
            layer.build(shape)
        self.output_projection.build((*shape[:-1], self.num_heads * self.head_dim))
        self.built = True

    def read(self, source):
        """The keys (B, K, Dh, S) and values (B, K, S, Dh) of a source (B, S, D), as `call` wants them."""
        key_value = self._heads(self.key_value(source), 2 * self.num_key_value_heads)
        key, value = ops.split(key_value, 2, axis=2)
        return ops.transpose(key, (0, 2, 3, 1)), ops.transpose(value, (0, 2, 1, 3))

    def call(self, x, position=0, cache=None, visible=None, documents=None, training=None):
        """
        Args:
            x: (B, T, D).
            position: () int32, the position of x[:, 0].
            cache: None, or keys and values of the positions before, each (B, S, K, Dh); of a source what `read` gave.
            visible: (B, S) bool, which keys may be seen at all; None for every key.
            documents: of `within_documents`, where rows hold several documents; causal, without a cache.

        Returns:
            (B, T, D); the cache with this call's keys and values written at `position` (or as it was); and the
            weights (B, H, T, S), float32.
        """
        bias = None
        if self.of_source:
            query = self._heads(self.query(x), self.num_heads) * self.head_dim**-0.5
            key, value = cache
        else:
            positions = position + ops.arange(ops.shape(x)[1], dtype="int32")
            if documents is not None:
                positions, within = documents
                bias = ops.where(within, 0.0, HIDDEN)[:, None, None]  # (B, 1, 1, T, T)
            query, key, value, slots, cache = self._of_itself(x, position, positions, cache)
            if self.causal and documents is None:
                bias = ops.where(slots[None, :] <= positions[:, None], 0.0, HIDDEN)  # (T, S)
        if visible is not None:
            hidden = ops.where(visible, 0.0, HIDDEN)[:, None, None, None, :]
            bias = hidden if bias is None else bias + hidden
        mixed, weights = self._gather(query, key, value, bias, training)
        return self.output_projection(mixed), cache, weights

    def _heads(self, x, count):
        return ops.reshape(x, (ops.shape(x)[0], ops.shape(x)[1], count, self.head_dim))

    def _of_itself(self, x, position, positions, cache):
        heads, groups = self.num_heads, self.num_key_value_heads
        mixed = self._heads(self.query_key_value(x), heads + 2 * groups)
        # Split, not sliced: the gradient of a slice writes all of `mixed` again, and on one core.
        query_key, value = ops.split(mixed, [heads + groups], axis=2)
        slots = positions
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
        key = ops.transpose(ops.cast(key, query.dtype), (0, 2, 3, 1))  # (B, K, Dh, S)
        value = ops.transpose(ops.cast(value, query.dtype), (0, 2, 1, 3))  # (B, K, S, Dh)
        return query, key, value, slots, cache

    def _gather(self, query, key, value, bias, training):
        batch, time = ops.shape(query)[0], ops.shape(query)[1]
        heads, groups = self.num_heads, self.num_key_value_heads
        # Query heads that share a key head stand together in rows, so that no key is ever copied.
        query = ops.reshape(query, (batch, time, groups, heads // groups, self.head_dim))
        query = ops.transpose(query, (0, 2, 3, 1, 4))  # (B, K, G, T, Dh)
        query = ops.reshape(query, (batch, groups, (heads // groups) * time, self.head_dim))
        scores = ops.matmul(query, ops.cast(key, query.dtype))  # (B, K, G * T, S)
        length = ops.shape(key)[3]
        scores = ops.reshape(scores, (batch, groups, heads // groups, time, length))
        scores = ops.cast(scores, "float32")
        shares = ops.softmax(scores if bias is None else scores + bias, axis=-1)
        weights = self.dropout(ops.cast(shares, query.dtype), training=training)
        weights = ops.reshape(weights, (batch, groups, (heads // groups) * time, length))
        mixed = ops.matmul(weights, ops.cast(value, query.dtype))  # (B, K, G * T, Dh)
        mixed = ops.reshape(mixed, (batch, heads, time, self.head_dim))
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (batch, time, heads * self.head_dim))
        return mixed, ops.reshape(shares, (batch, heads, time, length))
