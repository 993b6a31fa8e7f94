"""A tagger: for every word one of several labels, from what an encoder makes of the word's first token.

Devlin et al. 2019, section 5.3. Each word is labelled by itself (softmax), or the words of a sentence together by a CRF
(Lample et al. 2016, "Neural Architectures for Named Entity Recognition").

Shapes: B batch, T time, W words, D hidden, L labels.
"""

import dataclasses

from keras import ops

from tflm.config import check_choices, check_ranges
from tflm.layers.crf import CRF
from tflm.models.head import Head, HeadConfig
from tflm.models.pooling import encoded

DECODERS = ("softmax", "crf")


@dataclasses.dataclass
class TaggerConfig(HeadConfig):
    """
    Attributes:
        num_labels: 0: as many as the training text has.
        decoder: "softmax", or "crf" for labels that depend on each other.
        The others are those of HeadConfig.
    """

    num_labels: int = 0
    decoder: str = "softmax"

    def __post_init__(self):
        super().__post_init__()
        check_choices(self, "model.", decoder=DECODERS)
        check_ranges(self, "model.", num_labels=(0, None))


class Tagger(Head):
    """`model(token_ids, word_positions, segment_ids, padding_mask)` -> emissions: what speaks for each label of a word.

    `decode` makes labels of them, `negative_log_likelihoods` a loss.

    Args:
        config: TaggerConfig.
    """

    def __init__(self, config: TaggerConfig, name="tagger"):
        super().__init__(config, config.num_labels, name=name)
        self.crf = CRF(config.num_labels) if config.decoder == "crf" else None

    def build(self, shape):
        super().build(shape)
        if self.crf is not None:
            self.crf.build((None, None, self.config.num_labels))

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
        return self.outputs(x, training)

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
