"""A tagger: for every word one of several labels, from what an encoder makes of the word's first token.

Devlin et al. 2019, section 5.3. Each word is labelled by itself (softmax), or the words of a sentence together by a CRF
(Lample et al. 2016, "Neural Architectures for Named Entity Recognition").

Shapes: B batch, T time, W words, D hidden, L labels.
"""

import dataclasses

import keras
from keras import ops

from tflm import models
from tflm.config import check_choices, check_ranges
from tflm.layers.crf import CRF
from tflm.layers.dropout import Dropout
from tflm.models.bert import BERTConfig
from tflm.models.classifier import ENCODERS
from tflm.models.pooling import encoded

DECODERS = ("softmax", "crf")


@dataclasses.dataclass
class TaggerConfig:
    """
    Attributes:
        encoder: the config of a family of `classifier.ENCODERS`. An LSTM and a decoder see what stands before a word,
            BERT also what follows.
        num_labels: 0: as many as the training text has.
        decoder: "softmax", or "crf" for labels that depend on each other.
        dropout: rate on what the linear layer reads.
        lora_rank: as that of ClassifierConfig.
    """

    encoder: object = dataclasses.field(default_factory=BERTConfig)
    num_labels: int = 0
    decoder: str = "softmax"
    dropout: float = 0.1
    lora_rank: int = 0

    def __post_init__(self):
        check_choices(self, "model.", decoder=DECODERS)
        check_ranges(self, "model.", num_labels=(0, None), dropout=(0, 1), lora_rank=(0, None))
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


class Tagger(keras.Model):
    """`model(token_ids, word_positions, segment_ids, padding_mask)` -> emissions: what speaks for each label of a word.

    `decode` makes labels of them, `negative_log_likelihoods` a loss.

    Args:
        config: TaggerConfig.
    """

    carries_state = False

    def __init__(self, config: TaggerConfig, name="tagger"):
        super().__init__(name=name)
        self.config = config
        self.encoder = models.model_class(config.encoder)(config.encoder)
        self.dropout = Dropout(config.dropout, name="dropout")
        self.output_layer = keras.layers.Dense(config.num_labels, name="output_layer")
        self.crf = CRF(config.num_labels) if config.decoder == "crf" else None

    def build(self, shape):
        # By its own call, so that the encoder's variables have its name in their paths.
        token_ids = ops.zeros((1, 2), "int32")
        self.encoder(token_ids)
        self.output_layer.build(encoded(self.encoder, token_ids).shape)
        if self.crf is not None:
            self.crf.build((None, None, self.config.num_labels))

    @property
    def max_sequence_length(self) -> int | None:
        return self.config.max_sequence_length

    def call(
        self, token_ids, word_positions=None, segment_ids=None, padding_mask=None, training=None
    ):
        """
        Args:
            token_ids: (B, T) int32; padding at the end.
            word_positions: (B, W) int32, where each word's first token is; None for every token a word.
            segment_ids: (B, T) int32; for BERT.
            padding_mask: (B, T) bool, True where a token is; None for everywhere.

        Returns:
            (B, W, L) float32.
        """
        x = encoded(self.encoder, token_ids, segment_ids, padding_mask, training)
        if word_positions is not None:
            x = ops.take_along_axis(x, word_positions[..., None], axis=1)
        return ops.cast(self.output_layer(self.dropout(x, training=training)), "float32")

    def decode(self, emissions, mask):
        """The likeliest labels: (B, W, L), (B, W) bool -> (B, W) int32, 0 outside of the mask."""
        if self.crf is not None:
            return self.crf.decode(emissions, mask)
        return ops.cast(ops.argmax(emissions, axis=-1), "int32") * ops.cast(mask, "int32")

    def negative_log_likelihoods(self, emissions, labels, mask):
        """(B,): of the labels of all words of a row together, in nats.

        Args:
            emissions: (B, W, L). labels: (B, W) int32.
            mask: (B, W) bool, True for the words of a row, which come first.
        """
        if self.crf is not None:
            return -self.crf.log_likelihood(emissions, labels, mask)
        chosen = ops.one_hot(labels, self.config.num_labels, dtype=emissions.dtype)
        losses = ops.logsumexp(emissions, axis=-1) - ops.sum(emissions * chosen, axis=-1)
        return ops.sum(losses * ops.cast(mask, emissions.dtype), axis=-1)

    def embeddings(self):
        """The input embedding of every token: (V, D)."""
        return self.encoder.embeddings()
