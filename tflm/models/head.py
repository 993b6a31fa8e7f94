"""What stands on an encoder: a linear layer that reads what BERT, a recurrent network or a decoder makes of a text."""

import dataclasses

import keras
from keras import ops

from tflm import models
from tflm.config import check_ranges
from tflm.layers.dropout import Dropout
from tflm.models.bert import BERTConfig
from tflm.models.pooling import encoded

ENCODERS = ("bert", "rnn", "gpt")


@dataclasses.dataclass
class HeadConfig:
    """
    Attributes:
        encoder: the config of a family of ENCODERS. BERT sees all of a text; the others, of every token, what stands
            before it.
        dropout: rate on what the linear layer reads.
        lora_rank: of the change that each linear layer of the encoder learns while its own weights are held
            (`tflm.layers.lora`); 0: all weights of the encoder are trained.
    """

    encoder: object = dataclasses.field(default_factory=BERTConfig)
    dropout: float = 0.1
    lora_rank: int = 0

    def __post_init__(self):
        check_ranges(self, dropout=(0, 1), lora_rank=(0, None))
        models.check_encoder(self.encoder, ENCODERS)

    @property
    def vocabulary_size(self) -> int:
        return self.encoder.vocabulary_size

    @vocabulary_size.setter
    def vocabulary_size(self, size: int) -> None:
        self.encoder.vocabulary_size = size

    @property
    def max_sequence_length(self) -> int | None:
        return getattr(self.encoder, "max_sequence_length", None)


class Head(keras.Model):
    """
    Args:
        config: a HeadConfig.
        num_outputs: of the linear layer.
    """

    carries_state = False

    def __init__(self, config: HeadConfig, num_outputs: int, name: str):
        super().__init__(name=name)
        self.config = config
        self.encoder = models.model_class(config.encoder)(config.encoder)
        self.dropout = Dropout(config.dropout, name="dropout")
        self.output_layer = keras.layers.Dense(num_outputs, name="output_layer")

    def build(self, shape):
        # By its own call, so that the encoder's variables have its name in their paths.
        token_ids = ops.zeros((1, 2), "int32")
        self.encoder(token_ids)
        self.output_layer.build(encoded(self.encoder, token_ids).shape)

    @property
    def max_sequence_length(self) -> int | None:
        return self.config.max_sequence_length

    def outputs(self, hidden, training=None):
        """(..., D) -> (..., num_outputs) float32."""
        return ops.cast(self.output_layer(self.dropout(hidden, training=training)), "float32")

    def embeddings(self):
        """The input embedding of every token: (V, D)."""
        return self.encoder.embeddings()
