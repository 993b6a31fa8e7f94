"""Seq2SeqTransformer: a Transformer that reads a source and writes a target.

Vaswani et al. 2017, "Attention Is All You Need". Beside its order (norm after the sum) there is that of GPT-2 (norm
before the sublayer, and once at the end of each side), which trains without long warm-up (Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture"); and the other options of `tflm.models.gpt`. One rate of dropout serves
embeddings, sublayers and, unless told otherwise, attention weights.

The keys and values of the source are computed once, when it is read.

Shapes: B batch, T target time, S source time, C cache length, D hidden, H heads, K key-value heads, Dh head.
"""

import dataclasses

import keras
from keras import ops

from tflm.config import check_choices, check_ranges
from tflm.errors import UserError
from tflm.layers.dropout import Dropout
from tflm.layers.normalization import normalization
from tflm.layers.sinusoids import sinusoids
from tflm.layers.transformer_block import TransformerBlock, check_block
from tflm.models.sequence_to_sequence import SequenceToSequence, check_sharing, source_mask

POSITIONS = ("sinusoidal", "learned", "rotary")


@dataclasses.dataclass
class Seq2SeqTransformerConfig:
    """
    Attributes:
        vocabulary_size: of the target; 0 for its tokenizer's.
        source_vocabulary_size: 0 for the source tokenizer's, which is the target's where they share one.
        num_layers: of the decoder.
        num_encoder_layers: None for as many.
        num_key_value_heads: None for as many as heads.
        intermediate_dim: None for four times hidden_dim.
        share_embeddings: what one table serves: all, decoder (its input and output) or none.
        positions: sinusoidal or learned, added to the embeddings, or rotary, in the attention of each side to itself.
        norm_first: whether norms stand before the sublayers, or after the sums as in 2017.
        attention_dropout: rate on the attention weights; None for `dropout`.
        max_source_length, max_sequence_length: the longest source and target in tokens.
    """

    vocabulary_size: int = 0
    source_vocabulary_size: int = 0
    num_layers: int = 3
    num_encoder_layers: int | None = None
    num_heads: int = 4
    num_key_value_heads: int | None = None
    hidden_dim: int = 256
    intermediate_dim: int | None = None
    share_embeddings: str = "all"
    positions: str = "sinusoidal"
    rotary_base: float = 10_000.0
    normalization: str = "layer_norm"
    norm_epsilon: float = 1e-5
    norm_first: bool = True
    activation: str = "relu"
    use_bias: bool = True
    dropout: float = 0.1
    attention_dropout: float | None = None
    max_source_length: int = 256
    max_sequence_length: int = 256

    def __post_init__(self):
        check_ranges(
            self,
            vocabulary_size=(0, None),
            source_vocabulary_size=(0, None),
            num_layers=(1, None),
            num_encoder_layers=(1, None),
            max_source_length=(1, None),
            max_sequence_length=(1, None),
            attention_dropout=(0, 1),
        )
        check_sharing(self)
        check_choices(self, positions=POSITIONS)
        check_block(self)
        if self.positions == "sinusoidal" and self.hidden_dim % 2:
            raise UserError(
                f"Sinusoidal positions need an even `hidden_dim`. Received: {self.hidden_dim}."
            )


class Seq2SeqTransformer(SequenceToSequence):
    """`model(token_ids, source_ids)` -> logits of the next token of the target.

    Args:
        config: Seq2SeqTransformerConfig.
    """

    def __init__(self, config: Seq2SeqTransformerConfig, name="seq2seq_transformer"):
        super().__init__(config, config.hidden_dim, name)
        if config.positions == "learned":
            self.position_embedding = keras.layers.Embedding(
                config.max_sequence_length, config.hidden_dim, name="position_embedding"
            )
            self.source_position_embedding = keras.layers.Embedding(
                config.max_source_length, config.hidden_dim, name="source_position_embedding"
            )
        self.dropout = Dropout(config.dropout, name="dropout")

        def blocks(side, count, **options):
            return [
                TransformerBlock(
                    config,
                    name=f"{side}_block_{i}",
                    norm_first=config.norm_first,
                    attention_dropout=config.attention_dropout,
                    **options,
                )
                for i in range(count)
            ]

        layers = config.num_encoder_layers or config.num_layers
        self.encoder_blocks = blocks("encoder", layers, causal=False)
        self.decoder_blocks = blocks("decoder", config.num_layers, reads_source=True)
        self.encoder_norm = self.decoder_norm = None
        if config.norm_first:
            self.encoder_norm, self.decoder_norm = (
                normalization(config.normalization, f"{side}_norm", config.norm_epsilon)
                for side in ("encoder", "decoder")
            )

    def build(self, token_ids_shape, source_ids_shape):
        # Keys and values of the source are made outside of a block's call, which would build it.
        for block in self.decoder_blocks:
            block.build((None, None, self.config.hidden_dim))

    def encode(self, source_ids, training=None):
        """
        Args:
            source_ids: (B, S) int32, padding at the end; S is at most max_source_length.

        Returns:
            source_mask (B, S) bool, and for every layer of the decoder source_key_i (B, K, Dh, S) and source_value_i
            (B, K, S, Dh).
        """
        mask = source_mask(source_ids)
        x = self._embed(source_ids, 0, "source_", training)
        for block in self.encoder_blocks:
            x, _, _ = block(x, visible=mask, training=training)
        if self.encoder_norm is not None:
            x = self.encoder_norm(x)
        encoded = {"source_mask": mask}
        for i, block in enumerate(self.decoder_blocks):
            encoded[f"source_key_{i}"], encoded[f"source_value_{i}"] = block.read(x)
        return encoded

    def start(self, encoded, max_length):
        """`encoded`, and an empty cache for `max_length` tokens: per layer keys and values, (B, C, K, Dh)."""
        config = self.config
        heads = config.num_key_value_heads or config.num_heads
        batch = ops.shape(encoded["source_mask"])[0]
        shape = (batch, max_length, heads, config.hidden_dim // config.num_heads)
        return encoded | {
            f"kv_cache_{part}_{i}": ops.zeros(shape, self.compute_dtype)
            for i in range(config.num_layers)
            for part in "kv"
        }

    def hidden(self, token_ids, state, position=0, training=None):
        """What the output layer reads.

        Args:
            token_ids: (B, T) int32; position + T is at most max_sequence_length, and C.
            state: of `start` or of the tokens before; or what `encode` returned, at the beginning of a target.
            position: () int32, the position of token_ids[:, 0].

        Returns:
            (B, T, D), and the state with these tokens (`encoded` as it was, where it came alone).
        """
        hidden, state, _ = self._decode(token_ids, state, position, training)
        return hidden, state

    def source_attention(self, token_ids, source_ids):
        """(B, T) and (B, S) int32 -> (B, T, S) float32: the last layer's, its mean over the heads."""
        encoded = self.encode(source_ids, training=False)
        _, _, weights = self._decode(token_ids, encoded, 0, training=False)
        return ops.mean(weights, axis=1)

    def _decode(self, token_ids, state, position, training):
        """As `hidden`, and where the last layer looked: (B, H, T, S) float32."""
        x = self._embed(token_ids, position, "", training)
        state = dict(state)
        for i, block in enumerate(self.decoder_blocks):
            names = (f"kv_cache_k_{i}", f"kv_cache_v_{i}")
            is_cached = names[0] in state
            x, cache, weights = block(
                x,
                position=position,
                cache=tuple(state[name] for name in names) if is_cached else None,
                visible=state["source_mask"],
                source=(state[f"source_key_{i}"], state[f"source_value_{i}"]),
                training=training,
            )
            if is_cached:
                state.update(zip(names, cache, strict=True))
        return x if self.decoder_norm is None else self.decoder_norm(x), state, weights

    def _embed(self, ids, position, side, training):
        """(B, T) int32 -> (B, T, D); `side` is what stands before the names of that side's tables."""
        width = self.config.hidden_dim
        table = self.source_embedding if side else self.token_embedding
        x = table(ids) * width**0.5  # section 3.4
        positions = position + ops.arange(ops.shape(ids)[1], dtype="int32")
        if self.config.positions == "learned":
            # Scaled as the tokens are: the tables begin alike.
            x = x + getattr(self, f"{side}position_embedding")(positions) * width**0.5
        elif self.config.positions == "sinusoidal":
            x = x + ops.cast(sinusoids(positions, width), x.dtype)
        return self.dropout(x, training=training)
