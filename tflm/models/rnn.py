"""RNN: a language model of stacked LSTM or GRU layers.

Zaremba et al. 2014, "Recurrent Neural Network Regularization" (dropout between layers, never on the state); the output
is tied to the input embedding after Press and Wolf 2017, through a projection where the widths differ. Masks that are
constant over time, the dropout of words and weight drop are those of AWD-LSTM (Merity et al. 2017, "Regularizing and
Optimizing LSTM Language Models"), whose last layer has the width of the embedding.

Shapes: B batch, T time, E embedding, U units of the last layer, V vocabulary.
"""

import dataclasses

import keras
from keras import ops

from tflm.config import check_choices, check_ranges
from tflm.layers.dropout import Dropout, WordDropout
from tflm.layers.recurrent import CELLS, Recurrent
from tflm.models.language_model import LanguageModel


@dataclasses.dataclass
class RNNConfig:
    """
    Attributes:
        vocabulary_size: V; 0 for the tokenizer's.
        cell: lstm or gru.
        hidden_dim: units of a layer.
        last_hidden_dim: U; None for hidden_dim.
        embedding_dim: E; None for hidden_dim.
        tie_embeddings: whether the output is computed with the input's table.
        dropout: of the embeddings, of what one layer hands to the next, and of the output.
        input_dropout, hidden_dropout, output_dropout: the same three one by one; None for `dropout`.
        variational_dropout: one mask for all time steps of a sequence.
        word_dropout: share of the vocabulary whose embeddings are dropped, with all occurrences in a micro-batch.
        weight_dropout: share of the recurrent kernels that is dropped.
    """

    vocabulary_size: int = 0
    cell: str = "lstm"
    num_layers: int = 2
    hidden_dim: int = 256
    last_hidden_dim: int | None = None
    embedding_dim: int | None = None
    tie_embeddings: bool = True
    dropout: float = 0.0
    input_dropout: float | None = None
    hidden_dropout: float | None = None
    output_dropout: float | None = None
    variational_dropout: bool = False
    word_dropout: float = 0.0
    weight_dropout: float = 0.0

    def __post_init__(self):
        rates = ("dropout", "input_dropout", "hidden_dropout", "output_dropout")
        rates += ("word_dropout", "weight_dropout")
        check_ranges(
            self,
            vocabulary_size=(0, None),
            num_layers=(1, None),
            hidden_dim=(1, None),
            last_hidden_dim=(1, None),
            embedding_dim=(1, None),
            **{name: (0, 1) for name in rates},
        )
        check_choices(self, cell=CELLS)

    @property
    def widths(self) -> list[int]:
        """The units of every layer."""
        return [self.hidden_dim] * (self.num_layers - 1) + [self.last_hidden_dim or self.hidden_dim]


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
        self.cell = config.cell
        width, widths = config.embedding_dim or config.hidden_dim, config.widths
        self.token_embedding = keras.layers.Embedding(
            config.vocabulary_size, width, name="token_embedding"
        )
        self.layers_over_time = [
            Recurrent(config.cell, units, f"recurrent_{i}", config.weight_dropout)
            for i, units in enumerate(widths)
        ]
        self.word_dropout = WordDropout(
            config.word_dropout, config.vocabulary_size, name="word_dropout"
        )
        shared_axes = (1,) if config.variational_dropout else ()
        self.dropout = Dropout(config.dropout, "dropout", shared_axes)

        def dropout(rate, name):
            return self.dropout if rate is None else Dropout(rate, name, shared_axes)

        self.input_dropout = dropout(config.input_dropout, "input_dropout")
        self.hidden_dropout = dropout(config.hidden_dropout, "hidden_dropout")
        self.output_dropout = dropout(config.output_dropout, "output_dropout")
        self.narrow = None
        if config.tie_embeddings:
            if width != widths[-1]:
                self.narrow = keras.layers.Dense(width, use_bias=False, name="narrow")
            self.output_bias = self.add_weight(
                shape=(config.vocabulary_size,), initializer="zeros", name="output_bias"
            )
        else:
            self.output_projection = keras.layers.Dense(config.vocabulary_size, name="unembedding")

    def build(self, shape):
        # Not all are called, as between the layers where there is one layer; Keras wants all built.
        for layer in (self.dropout, self.hidden_dropout):
            if not layer.built:
                layer.build(None)
        if not self.config.tie_embeddings:
            self.output_projection.build((None, None, self.config.widths[-1]))

    def initial_state(self, batch_size: int, max_length: int | None = None) -> dict:
        """Zeros: per layer `hidden_i` (and `cell_i` of an LSTM), (B, units).

        `max_length` is not needed.
        """
        names = CELLS[self.config.cell].state_names
        return {
            f"{name}_{i}": ops.zeros((batch_size, units), self.compute_dtype)
            for i, units in enumerate(self.config.widths)
            for name in names
        }

    def hidden(self, token_ids, state=None, position=0, training=None):
        """(B, T) int32 and the state -> what the output layer reads (B, T, E or U), and the state after them.

        Without a state a text begins. `position` is part of the contract; a recurrent model does not need it.
        """
        _, output, state = self.activations(token_ids, state, training)
        return self.narrowed(output), state

    def activations(self, token_ids, state=None, training=None):
        """What the last layer says of (B, T) int32: (B, T, U) before and after its dropout; and the state."""
        if state is None:
            state = self.initial_state(ops.shape(token_ids)[0])
        names = CELLS[self.config.cell].state_names
        x = self.token_embedding(token_ids)  # (B, T, E)
        x = self.word_dropout(x, token_ids, training=training)
        x = self.input_dropout(x, training=training)
        new_state = {}
        for i, layer in enumerate(self.layers_over_time):
            if i:
                x = self.hidden_dropout(x, training=training)
            x, states = layer(x, [state[f"{name}_{i}"] for name in names], training=training)
            new_state.update({f"{name}_{i}": s for name, s in zip(names, states, strict=True)})
        return x, self.output_dropout(x, training=training), new_state

    def narrowed(self, output):
        """(B, T, U) -> (B, T, E), where the output is tied to an embedding of another width."""
        return output if self.narrow is None else self.narrow(output)

    def output_table(self):
        """(V, E) tied to the input embedding, else (V, U), and the bias (V,)."""
        if self.config.tie_embeddings:
            return self.token_embedding.embeddings, self.output_bias
        return ops.transpose(self.output_projection.kernel), self.output_projection.bias

    def embeddings(self):
        """The input embedding of every token: (V, E)."""
        return self.token_embedding.embeddings
