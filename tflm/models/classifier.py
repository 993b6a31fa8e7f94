"""A classifier: one linear layer over what an encoder makes of a text.

Devlin et al. 2019, section 4.1, for BERT; an LSTM or a decoder is read the same way, by the mean or the maximum of what
it makes of the tokens, or by its last one (Radford et al. 2018, "Improving Language Understanding by Generative
Pre-Training", section 3.2).

Shapes: B batch, T time, D hidden, L labels.
"""

import dataclasses

import keras
from keras import ops

from tflm import models
from tflm.config import check_choices, check_ranges
from tflm.layers.dropout import Dropout
from tflm.models.bert import BERTConfig
from tflm.models.pooling import POOLINGS, encoded, pool

ENCODERS = ("bert", "rnn", "gpt")


@dataclasses.dataclass
class ClassifierConfig:
    """
    Attributes:
        encoder: the config of a family of ENCODERS.
        num_labels: 0: as many as the training text has.
        pooling: what stands for a text: its first token, its last one, or the mean or the maximum over all of them; ""
            for the first of BERT's, which goes through a layer of its own, and else the mean.
        dropout: rate on what the linear layer reads.
        lora_rank: of the change that each linear layer of the encoder learns while its own weights are held
            (`tflm.layers.lora`); 0: all weights of the encoder are trained.
    """

    encoder: object = dataclasses.field(default_factory=BERTConfig)
    num_labels: int = 0
    pooling: str = ""
    dropout: float = 0.1
    lora_rank: int = 0

    def __post_init__(self):
        check_choices(self, "model.", pooling=("", *POOLINGS))
        check_ranges(self, num_labels=(0, None), dropout=(0, 1), lora_rank=(0, None))
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


class Classifier(keras.Model):
    """`model(token_ids, segment_ids, padding_mask)` -> logits of the labels.

    Args:
        config: ClassifierConfig.
    """

    carries_state = False

    def __init__(self, config: ClassifierConfig, name="classifier"):
        super().__init__(name=name)
        self.config = config
        self.encoder = models.model_class(config.encoder)(config.encoder)
        self.dropout = Dropout(config.dropout, name="dropout")
        self.output_layer = keras.layers.Dense(config.num_labels, name="output_layer")

    def build(self, shape):
        # By its own call, so that the encoder's variables have its name in their paths.
        token_ids = ops.zeros((1, 2), "int32")
        self.encoder(token_ids)
        self.output_layer.build(encoded(self.encoder, token_ids).shape)

    @property
    def max_sequence_length(self) -> int | None:
        return self.config.max_sequence_length

    def call(self, token_ids, segment_ids=None, padding_mask=None, training=None):
        """
        Args:
            token_ids: (B, T) int32, a text or a pair, as the encoder reads it; padding at the end.
            segment_ids: (B, T) int32, of a pair; for BERT.
            padding_mask: (B, T) bool, True where a token is; None for everywhere.

        Returns:
            (B, L) float32.
        """
        if padding_mask is None:
            padding_mask = ops.ones_like(token_ids, dtype="bool")
        pooled = self._pooled(token_ids, segment_ids, padding_mask, training)
        return ops.cast(self.output_layer(self.dropout(pooled, training=training)), "float32")

    def embeddings(self):
        """The input embedding of every token: (V, D)."""
        return self.encoder.embeddings()

    def _pooled(self, token_ids, segment_ids, padding_mask, training):
        """(B, D)."""
        sequence = encoded(self.encoder, token_ids, segment_ids, padding_mask, training)
        if self.config.pooling == "" and hasattr(self.encoder, "pooled"):
            return self.encoder.pooled(sequence)
        return pool(sequence, padding_mask, self.config.pooling or "mean")
