"""GPT: a decoder-only Transformer language model.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (pre-norm, learned positions, GELU, tied
output); the options rotary, RMSNorm, SwiGLU and grouped-query attention make it the architecture of Llama
(Touvron et al. 2023). One difference to GPT-2: attention dropout and residual dropout share one rate.

Shapes: B batch, T time, D hidden, V vocabulary, S cache length, K key-value heads, Dh head.
"""

import dataclasses
import functools

import keras
from keras import ops

from tflm.config import check_choices, check_ranges
from tflm.layers.attention import within_documents
from tflm.layers.dropout import Dropout
from tflm.layers.normalization import normalization
from tflm.layers.recompute import recomputed
from tflm.layers.transformer_block import TransformerBlock, check_block
from tflm.models.language_model import LanguageModel

POSITIONS = ("learned", "rotary")


@dataclasses.dataclass
class GPTConfig:
    """
    Attributes:
        stochastic_depth: how often the last block is left out of a row's training, the others less (Huang et al. 2016).
        recompute: keep only what goes into each block, and compute the rest again in the backward pass: less memory for
            about a third more arithmetic (Chen et al. 2016).
    """

    vocabulary_size: int = 0  # 0: the tokenizer's
    num_layers: int = 4
    num_heads: int = 4
    num_key_value_heads: int | None = None  # None: as many as heads
    hidden_dim: int = 128
    intermediate_dim: int | None = None  # None: four times hidden_dim
    max_sequence_length: int = 128
    positions: str = "rotary"
    rotary_base: float = 10_000.0
    normalization: str = "rms_norm"
    norm_epsilon: float = 1e-5
    activation: str = "gelu"
    use_bias: bool = False
    tie_embeddings: bool = True
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    recompute: bool = False

    def __post_init__(self):
        check_ranges(
            self,
            vocabulary_size=(0, None),
            num_layers=(1, None),
            max_sequence_length=(1, None),
            stochastic_depth=(0, 1),
        )
        check_choices(self, positions=POSITIONS)
        check_block(self)


class GPT(LanguageModel):
    """A language model: `model(token_ids)` -> logits of the next token.

    Args:
        config: GPTConfig.
    """

    residual_projections = ("output_projection",)
    carries_state = False

    def __init__(self, config: GPTConfig, name="gpt"):
        super().__init__(name=name)
        self.config = config
        self.token_embedding = keras.layers.Embedding(
            config.vocabulary_size, config.hidden_dim, name="token_embedding"
        )
        if config.positions == "learned":
            self.position_embedding = keras.layers.Embedding(
                config.max_sequence_length, config.hidden_dim, name="position_embedding"
            )
        self.dropout = Dropout(config.dropout, name="dropout")
        self.blocks = [
            # The deeper, the more often its branches are left out (Huang et al. 2016, section 3, the linear rule).
            TransformerBlock(
                config,
                name=f"block_{i}",
                stochastic_depth=config.stochastic_depth * (i + 1) / config.num_layers,
            )
            for i in range(config.num_layers)
        ]
        self.final_norm = normalization(config.normalization, "final_norm", config.norm_epsilon)
        if not config.tie_embeddings:
            self.output_projection = keras.layers.Dense(
                config.vocabulary_size, use_bias=False, name="unembedding"
            )

    def build(self, shape):
        if not self.config.tie_embeddings:
            self.output_projection.build((None, None, self.config.hidden_dim))

    @property
    def max_sequence_length(self) -> int:
        return self.config.max_sequence_length

    def initial_state(self, batch_size: int, max_length: int) -> dict:
        """An empty cache for `max_length` tokens: per layer keys and values, (B, S, K, Dh)."""
        config = self.config
        heads = config.num_key_value_heads or config.num_heads
        shape = (batch_size, max_length, heads, config.hidden_dim // config.num_heads)
        return {
            f"kv_cache_{part}_{i}": ops.zeros(shape, self.compute_dtype)
            for i in range(config.num_layers)
            for part in "kv"
        }

    def hidden(self, token_ids, state=None, position=0, training=None, segment_ids=None):
        """What the output layer reads.

        Args:
            token_ids: (B, T) int32; position + T is at most max_sequence_length, and S.
            state: the cache of the tokens before, or None at the beginning of a text.
            position: () int32, the position of token_ids[:, 0].
            segment_ids: (B, T) int32, where rows hold several documents: none sees another, each begins at position 0.
                Without a state.

        Returns:
            (B, T, D), and the cache with these tokens (empty without a state).
        """
        documents = None if segment_ids is None else within_documents(segment_ids)
        x = self.token_embedding(token_ids)  # (B, T, D)
        if self.config.positions == "learned":
            positions = position + ops.arange(ops.shape(token_ids)[1], dtype="int32")
            x = x + self.position_embedding(positions if documents is None else documents[0])
        x = self.dropout(x, training=training)
        new_state = {}
        for i, block in enumerate(self.blocks):
            if self.config.recompute and training and state is None:
                x = recomputed(block, functools.partial(_output, block, documents), x)
                continue
            cache = None if state is None else (state[f"kv_cache_k_{i}"], state[f"kv_cache_v_{i}"])
            x, cache, _ = block(
                x, position=position, cache=cache, documents=documents, training=training
            )
            if cache is not None:
                new_state[f"kv_cache_k_{i}"], new_state[f"kv_cache_v_{i}"] = cache
        return self.final_norm(x), new_state

    def output_table(self):
        """(V, D), tied to the input embedding unless told otherwise; no bias."""
        if self.config.tie_embeddings:
            return self.token_embedding.embeddings, None
        return ops.transpose(self.output_projection.kernel), None

    def embeddings(self):
        """The input embedding of every token: (V, D)."""
        return self.token_embedding.embeddings


def _output(block, documents, x):
    return block(x, documents=documents, training=True)[0]
