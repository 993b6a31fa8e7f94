"""RNN: a language model of stacked LSTM or GRU layers.

Zaremba et al. 2014, "Recurrent Neural Network Regularization" (dropout between layers, never on the state); the output
is tied to the input embedding after Press and Wolf 2017, through a projection where the widths differ.

Shapes: B batch, T time, E embedding, U units, V vocabulary.
"""

import dataclasses

import keras
from keras import ops

from tflm.config import check_ranges
from tflm.errors import unknown_name
from tflm.layers.dropout import Dropout
from tflm.layers.recurrent import CELLS, Recurrent
from tflm.models.language_model import LanguageModel


@dataclasses.dataclass
class RNNConfig:
    vocabulary_size: int = 0  # 0: the tokenizer's
    cell: str = "lstm"
    num_layers: int = 2
    hidden_dim: int = 256  # U
    embedding_dim: int | None = None  # None: hidden_dim
    tie_embeddings: bool = True
    dropout: float = 0.0

    def __post_init__(self):
        check_ranges(
            self,
            vocabulary_size=(0, None),
            num_layers=(1, None),
            hidden_dim=(1, None),
            embedding_dim=(1, None),
            dropout=(0, 1),
        )
        if self.cell not in CELLS:
            raise unknown_name("cell", self.cell, CELLS)


class RNN(LanguageModel):
    """A language model whose state has a fixed size and an unbounded reach.

    Args:
        config: RNNConfig.
    """

    residual_projections = ()
    max_sequence_length = None  # the state has a fixed size
    carries_state = True

    def __init__(self, config: RNNConfig, name="rnn"):
        super().__init__(name=name)
        self.config = config
        width = config.embedding_dim or config.hidden_dim
        self.token_embedding = keras.layers.Embedding(
            config.vocabulary_size, width, name="token_embedding"
        )
        self.layers_over_time = [
            Recurrent(config.cell, config.hidden_dim, name=f"recurrent_{i}")
            for i in range(config.num_layers)
        ]
        self.dropout = Dropout(config.dropout, name="dropout")
        self.narrow = None
        if config.tie_embeddings:
            if width != config.hidden_dim:
                self.narrow = keras.layers.Dense(width, use_bias=False, name="narrow")
            self.output_bias = self.add_weight(
                shape=(config.vocabulary_size,), initializer="zeros", name="output_bias"
            )
        else:
            self.output_projection = keras.layers.Dense(config.vocabulary_size, name="unembedding")

    def build(self, shape):
        if not self.config.tie_embeddings:
            self.output_projection.build((None, None, self.config.hidden_dim))

    def initial_state(self, batch_size: int, max_length: int | None = None) -> dict:
        """Zeros: per layer `hidden_i` (and `cell_i` of an LSTM), (B, U). `max_length` is not needed."""
        names = CELLS[self.config.cell].state_names
        shape = (batch_size, self.config.hidden_dim)
        return {
            f"{name}_{i}": ops.zeros(shape, self.compute_dtype)
            for i in range(self.config.num_layers)
            for name in names
        }

    def hidden(self, token_ids, state=None, position=0, training=None):
        """(B, T) int32 and the state -> what the output layer reads (B, T, E or U), and the state after them.

        Without a state a text begins. `position` is part of the contract; a recurrent model does not need it.
        """
        if state is None:
            state = self.initial_state(ops.shape(token_ids)[0])
        names = CELLS[self.config.cell].state_names
        x = self.dropout(self.token_embedding(token_ids), training=training)  # (B, T, E)
        new_state = {}
        for i, layer in enumerate(self.layers_over_time):
            states = [state[f"{name}_{i}"] for name in names]
            x, states = layer(x, states, training=training)
            new_state.update({f"{name}_{i}": s for name, s in zip(names, states, strict=True)})
            x = self.dropout(x, training=training)
        if self.narrow is not None:
            x = self.narrow(x)
        return x, new_state

    def output_table(self):
        """(V, E) tied to the input embedding, else (V, U), and the bias (V,)."""
        if self.config.tie_embeddings:
            return self.token_embedding.embeddings, self.output_bias
        return ops.transpose(self.output_projection.kernel), self.output_projection.bias

    def embeddings(self):
        """The input embedding of every token: (V, E)."""
        return self.token_embedding.embeddings
