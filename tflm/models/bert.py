"""BERT: an encoder, pre-trained to find the words that were masked.

Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding". Beside its order
(norm after the sum) there is that of GPT-2 (norm before the sublayer, and once at the end), and beside its learned
positions rotary ones. One rate of dropout serves embeddings, sublayers and, unless told otherwise, attention weights.

Shapes: B batch, T time, P positions that are predicted, D hidden, V vocabulary.
"""

import dataclasses

import keras
from keras import ops

from tflm.config import check_choices, check_ranges
from tflm.layers.dropout import Dropout
from tflm.layers.normalization import normalization
from tflm.layers.transformer_block import TransformerBlock, check_block
from tflm.models.language_model import TokenPredictor

POSITIONS = ("learned", "rotary")


@dataclasses.dataclass
class BERTConfig:
    """
    Attributes:
        num_key_value_heads: None for as many as heads.
        intermediate_dim: None for four times hidden_dim.
        num_segments: of a row: the two texts of a pair.
        norm_first: whether norms stand before the sublayers, or after the sums as in 2019.
        attention_dropout: rate on the attention weights; None for `dropout`.
    """

    vocabulary_size: int = 0  # 0: the tokenizer's
    num_layers: int = 4
    num_heads: int = 4
    num_key_value_heads: int | None = None
    hidden_dim: int = 256
    intermediate_dim: int | None = None
    max_sequence_length: int = 128
    num_segments: int = 2
    positions: str = "learned"
    rotary_base: float = 10_000.0
    normalization: str = "layer_norm"
    norm_epsilon: float = 1e-12
    norm_first: bool = False
    activation: str = "gelu"
    use_bias: bool = True
    dropout: float = 0.1
    attention_dropout: float | None = None

    def __post_init__(self):
        check_ranges(
            self,
            vocabulary_size=(0, None),
            num_layers=(1, None),
            max_sequence_length=(1, None),
            num_segments=(1, None),
            attention_dropout=(0, 1),
        )
        check_choices(self, positions=POSITIONS)
        check_block(self)


class BERT(TokenPredictor):
    """`model(token_ids, segment_ids, padding_mask)` -> what it makes of every token, and of the whole text.

    `predictions` of these, through `logits`, are the words that it takes the tokens for.

    Args:
        config: BERTConfig.
    """

    residual_projections = ("output_projection",)
    carries_state = False

    def __init__(self, config: BERTConfig, name="bert"):
        super().__init__(name=name)
        self.config = config
        width = config.hidden_dim

        def table(size, name):
            return keras.layers.Embedding(size, width, name=name)

        def norm(name):
            return normalization(config.normalization, name, config.norm_epsilon)

        self.token_embedding = table(config.vocabulary_size, "token_embedding")
        self.segment_embedding = table(config.num_segments, "segment_embedding")
        if config.positions == "learned":
            self.position_embedding = table(config.max_sequence_length, "position_embedding")
        self.embedding_norm = None if config.norm_first else norm("embedding_norm")
        self.dropout = Dropout(config.dropout, name="dropout")
        self.blocks = [
            TransformerBlock(
                config,
                name=f"block_{i}",
                causal=False,
                norm_first=config.norm_first,
                attention_dropout=config.attention_dropout,
            )
            for i in range(config.num_layers)
        ]
        self.final_norm = norm("final_norm") if config.norm_first else None
        self.pooler = keras.layers.Dense(width, activation="tanh", name="pooler")
        self.prediction = keras.layers.Dense(width, name="prediction")
        self.prediction_norm = norm("prediction_norm")
        self.pair_output = keras.layers.Dense(2, name="pair_output")
        self.output_bias = self.add_weight(
            shape=(config.vocabulary_size,), initializer="zeros", name="output_bias"
        )

    def build(self, shape):
        # Not every objective asks for predictions, but the weights are always the same.
        width = (None, None, self.config.hidden_dim)
        self.prediction.build(width)
        self.prediction_norm.build(width)
        self.pair_output.build((None, self.config.hidden_dim))

    @property
    def max_sequence_length(self) -> int:
        return self.config.max_sequence_length

    def sequence(self, token_ids, segment_ids=None, padding_mask=None, training=None):
        """
        Args:
            token_ids: (B, T) int32, `[CLS] tokens [SEP]`; T is at most max_sequence_length.
            segment_ids: (B, T) int32, below num_segments; None for all 0.
            padding_mask: (B, T) bool, True where a token is; None for everywhere. What stands elsewhere changes
                nothing.

        Returns:
            (B, T, D).
        """
        if segment_ids is None:
            segment_ids = ops.zeros_like(token_ids)
        x = self.token_embedding(token_ids) + self.segment_embedding(segment_ids)
        if self.config.positions == "learned":
            x = x + self.position_embedding(ops.arange(ops.shape(token_ids)[1], dtype="int32"))
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        x = self.dropout(x, training=training)
        for block in self.blocks:
            x, _, _ = block(x, visible=padding_mask, training=training)
        return x if self.final_norm is None else self.final_norm(x)

    def pooled(self, sequence):
        """(B, T, D) -> (B, D), of what stands at the first token."""
        return self.pooler(sequence[:, 0])

    def predictions(self, hidden):
        """What the output layer reads where a token is to be found: (B, P, D) of `sequence` -> (B, P, D)."""
        hidden = ops.gelu(self.prediction(hidden), approximate=self.config.activation == "gelu")
        return self.prediction_norm(hidden)

    def next_sentence(self, sequence):
        """(B, T, D) -> logits (B, 2) float32: that the second text goes on where the first one ends, and that not."""
        return ops.cast(self.pair_output(self.pooled(sequence)), "float32")

    def call(self, token_ids, segment_ids=None, padding_mask=None, training=None):
        """As `sequence`; {"sequence": (B, T, D), "pooled": (B, D)}."""
        sequence = self.sequence(token_ids, segment_ids, padding_mask, training)
        return {"sequence": sequence, "pooled": self.pooled(sequence)}

    def output_table(self):
        """(V, D), tied to the input embedding, and a bias (V,)."""
        return self.token_embedding.embeddings, self.output_bias

    def embeddings(self):
        """The input embedding of every token: (V, D)."""
        return self.token_embedding.embeddings
