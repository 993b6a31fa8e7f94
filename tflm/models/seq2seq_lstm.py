"""Seq2SeqLSTM: a bidirectional LSTM reads the source, LSTMs with attention write the target.

Sutskever et al. 2014, "Sequence to Sequence Learning with Neural Networks"; the attention of Bahdanau et al. 2015 or
Luong et al. 2015, see `tflm.layers.attentive_lstm`. A layer of the decoder begins with the last states, of both
directions side by side, of the encoder's layer at the same height from the top.

Shapes: B batch, T target time, S source time, E embedding, U units.
"""

import dataclasses

from keras import ops

from tflm.config import check_choices, check_ranges
from tflm.errors import UserError
from tflm.layers.attentive_lstm import AttentiveLSTM
from tflm.layers.bidirectional import Bidirectional
from tflm.layers.dropout import Dropout
from tflm.layers.source_attention import SCORES
from tflm.models.sequence_to_sequence import SequenceToSequence, check_sharing, source_mask


@dataclasses.dataclass
class Seq2SeqLSTMConfig:
    """
    Attributes:
        vocabulary_size: of the target; 0 for its tokenizer's.
        source_vocabulary_size: 0 for the source tokenizer's, which is the target's where they share one.
        num_layers: of the decoder.
        num_encoder_layers: None for as many.
        hidden_dim: U of the decoder; each direction of the encoder has half of it.
        embedding_dim: E, of both sides; None for hidden_dim.
        attention: luong or bahdanau.
        input_feeding: whether the result of a step's attention goes into the next step; of luong, where it costs the
            speed of asking the source for all steps at once.
        share_embeddings: what one table serves: all, decoder (its input and output) or none.
        dropout: of the embeddings, of what one layer hands to the next, and of the output.
        max_source_length, max_sequence_length: the longest source and target in tokens; None for no limit.
    """

    vocabulary_size: int = 0
    source_vocabulary_size: int = 0
    num_layers: int = 1
    num_encoder_layers: int | None = None
    hidden_dim: int = 256
    embedding_dim: int | None = None
    attention: str = "luong"
    input_feeding: bool = False
    share_embeddings: str = "all"
    dropout: float = 0.1
    max_source_length: int | None = None
    max_sequence_length: int | None = None

    def __post_init__(self):
        check_ranges(
            self,
            vocabulary_size=(0, None),
            source_vocabulary_size=(0, None),
            num_layers=(1, None),
            num_encoder_layers=(1, None),
            hidden_dim=(2, None),
            embedding_dim=(1, None),
            dropout=(0, 1),
            max_source_length=(1, None),
            max_sequence_length=(1, None),
        )
        check_sharing(self)
        check_choices(self, attention=SCORES)
        if self.hidden_dim % 2:
            raise UserError(
                "`hidden_dim` must be even: each direction of the encoder has half of it. "
                f"Received: hidden_dim={self.hidden_dim}."
            )
        if self.input_feeding and self.attention == "bahdanau":
            raise UserError(
                "`input_feeding` is an option of attention=luong; bahdanau feeds every step with what it attends to."
            )


class Seq2SeqLSTM(SequenceToSequence):
    """`model(token_ids, source_ids)` -> logits of the next token of the target.

    Args:
        config: Seq2SeqLSTMConfig.
    """

    cell = "lstm"

    def __init__(self, config: Seq2SeqLSTMConfig, name="seq2seq_lstm"):
        width = config.embedding_dim or config.hidden_dim
        super().__init__(config, width, name)
        self.embedding_dim = width
        self.encoder = [
            Bidirectional(config.hidden_dim // 2, name=f"encoder_{i}")
            for i in range(config.num_encoder_layers or config.num_layers)
        ]
        self.decoder = AttentiveLSTM(
            num_layers=config.num_layers,
            units=config.hidden_dim,
            width=width,
            attention=config.attention,
            input_feeding=config.input_feeding,
            dropout=config.dropout,
            name="decoder",
        )
        self.dropout = Dropout(config.dropout, name="dropout")

    def build(self, token_ids_shape, source_ids_shape):
        # The keys of the source are made outside of the decoder's call, which would build it.
        self.decoder.build((None, None, self.embedding_dim))

    def encode(self, source_ids, training=None):
        """
        Args:
            source_ids: (B, S) int32, padding at the end.

        Returns:
            source_mask (B, S) bool; source_key and source_value (B, S, U); and source_hidden_i and source_cell_i
            (B, U), where layer i of the decoder begins.
        """
        mask = source_mask(source_ids)
        x = self.dropout(self.source_embedding(source_ids), training=training)
        last = []
        for i, layer in enumerate(self.encoder):
            if i:
                x = self.dropout(x, training=training)
            x, *states = layer(x, mask, training=training)
            last.append(states)
        encoded = {"source_mask": mask, "source_key": self.decoder.read(x), "source_value": x}
        for i in range(self.config.num_layers):
            height = max(len(last) - self.config.num_layers + i, 0)
            encoded[f"source_hidden_{i}"], encoded[f"source_cell_{i}"] = last[height]
        return encoded

    def start(self, encoded, max_length=None):
        """`encoded`, and hidden_i and cell_i (B, U) of every layer; with input feeding also `fed` (B, E), zeros.

        `max_length` is not needed.
        """
        state = dict(encoded)
        for i in range(self.config.num_layers):
            state[f"hidden_{i}"] = encoded[f"source_hidden_{i}"]
            state[f"cell_{i}"] = encoded[f"source_cell_{i}"]
        if self.decoder.feeds:
            batch = ops.shape(encoded["source_mask"])[0]
            state["fed"] = ops.zeros((batch, self.embedding_dim), self.compute_dtype)
        return state

    def hidden(self, token_ids, state, position=0, training=None):
        """(B, T) int32 and the state -> what the output layer reads (B, T, E), and the state after them.

        Without more than `encoded` a target begins. `position` is part of the contract; an LSTM does not need it.
        """
        hidden, state, _ = self._decode(token_ids, state, training)
        return hidden, state

    def source_attention(self, token_ids, source_ids):
        """(B, T) and (B, S) int32 -> (B, T, S) float32."""
        encoded = self.encode(source_ids, training=False)
        _, _, queries = self._decode(token_ids, encoded, training=False)
        keys, mask = encoded["source_key"], encoded["source_mask"]
        return self.decoder.attention.attention_weights(queries, keys, mask)

    def _decode(self, token_ids, state, training):
        """As `hidden`, and what asked the source: (B, T, U)."""
        if "hidden_0" not in state:
            state = self.start(state)
        x = self.dropout(self.token_embedding(token_ids), training=training)
        names = [f"{n}_{i}" for i in range(self.config.num_layers) for n in ("hidden", "cell")]
        names += ["fed"] if self.decoder.feeds else []
        x, queries, states = self.decoder(
            x,
            [state[name] for name in names],
            state["source_key"],
            state["source_value"],
            state["source_mask"],
            training=training,
        )
        state = state | dict(zip(names, states, strict=True))
        return self.dropout(x, training=training), state, queries
