"""One Transformer block: of GPT, of an encoder, and of a decoder that reads a source."""

import keras

from tflm.config import check_choices, check_ranges
from tflm.layers.attention import Attention, check_heads
from tflm.layers.dropout import Dropout
from tflm.layers.feed_forward import ACTIVATIONS, FeedForward
from tflm.layers.normalization import NORMALIZATIONS, normalization


def check_block(config) -> None:
    """Raises UserError for a config that no block can be made of, see `TransformerBlock`."""
    check_ranges(
        config,
        num_heads=(1, None),
        num_key_value_heads=(1, None),
        hidden_dim=(1, None),
        intermediate_dim=(1, None),
        dropout=(0, 1),
        norm_epsilon=(0, 1),
    )
    check_choices(config, normalization=NORMALIZATIONS, activation=ACTIVATIONS)
    check_heads(config)


class TransformerBlock(keras.layers.Layer):
    """x + attention(norm(x)), where it reads a source x + source_attention(norm(x)), then x + feed_forward(norm(x)).

    That is the order of GPT-2; of Vaswani et al. 2017 it is norm(x + attention(x)), and so on.

    Args:
        config: a GPTConfig, BERTConfig or Seq2SeqTransformerConfig.
        causal: whether a position sees itself and the positions before it only.
        reads_source: whether it also attends to a source.
        norm_first: GPT-2's order.
        attention_dropout: rate on the attention weights; None for the config's `dropout`.
        stochastic_depth: how often a branch is left out of a row's training (Huang et al. 2016).
    """

    def __init__(
        self,
        config,
        name,
        causal=True,
        reads_source=False,
        norm_first=True,
        attention_dropout=None,
        stochastic_depth=0.0,
    ):
        super().__init__(name=name)
        self.norm_first = norm_first

        def attention(name, **options):
            return Attention(
                hidden_dim=config.hidden_dim,
                num_heads=config.num_heads,
                num_key_value_heads=config.num_key_value_heads or config.num_heads,
                rotary_base=config.rotary_base if config.positions == "rotary" else None,
                dropout=config.dropout if attention_dropout is None else attention_dropout,
                use_bias=config.use_bias,
                name=name,
                **options,
            )

        def norm(name):
            return normalization(config.normalization, name, config.norm_epsilon)

        self.attention_norm = norm("attention_norm")
        self.attention = attention("attention", causal=causal)
        self.source_attention = None
        if reads_source:
            self.source_attention_norm = norm("source_attention_norm")
            self.source_attention = attention("source_attention", of_source=True)
        self.feed_forward_norm = norm("feed_forward_norm")
        self.feed_forward = FeedForward(
            hidden_dim=config.hidden_dim,
            intermediate_dim=config.intermediate_dim or 4 * config.hidden_dim,
            activation=config.activation,
            use_bias=config.use_bias,
            name="feed_forward",
        )
        self.dropout = Dropout(config.dropout, name="dropout")
        self.stochastic_depth = Dropout(
            stochastic_depth, name="stochastic_depth", shared_axes=(1, 2)
        )

    def build(self, shape):
        layers = [
            self.attention_norm,
            self.attention,
            self.feed_forward_norm,
            self.feed_forward,
        ]
        if self.source_attention is not None:
            layers += [self.source_attention_norm, self.source_attention]
        for layer in layers:
            layer.build(shape)
        self.built = True

    def read(self, source):
        """(B, S, D) -> its keys and values for this block, see `Attention.read`."""
        return self.source_attention.read(source)

    def call(
        self,
        x,
        position=0,
        cache=None,
        visible=None,
        documents=None,
        source=None,
        training=None,
    ):
        """
        Args:
            x, position, cache, documents: as Attention's.
            visible: (B, S) bool, which positions may be seen: of the source in a block that reads one, else of x.
            source: what `read` returned, in a block that reads a source.

        Returns:
            (B, T, D), the cache, and the weights (B, H, T, S) of its last attention.
        """
        mixed, cache, weights = self.attention(
            self._before(x, self.attention_norm),
            position=position,
            cache=cache,
            visible=None if self.source_attention is not None else visible,
            documents=documents,
            training=training,
        )
        x = self._after(x, mixed, self.attention_norm, training)
        if self.source_attention is not None:
            mixed, _, weights = self.source_attention(
                self._before(x, self.source_attention_norm),
                cache=source,
                visible=visible,
                training=training,
            )
            x = self._after(x, mixed, self.source_attention_norm, training)
        mixed = self.feed_forward(self._before(x, self.feed_forward_norm))
        return self._after(x, mixed, self.feed_forward_norm, training), cache, weights

    def _before(self, x, norm):
        return norm(x) if self.norm_first else x

    def _after(self, x, mixed, norm, training):
        mixed = self.dropout(mixed, training=training)
        x = x + self.stochastic_depth(mixed, training=training)
        return x if self.norm_first else norm(x)
