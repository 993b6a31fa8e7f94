"""A classifier: one linear layer over what an encoder makes of a text.

Devlin et al. 2019, section 4.1, for BERT; an LSTM or a decoder is read the same way, by the mean or the maximum of what
it makes of the tokens, or by its last one (Radford et al. 2018, "Improving Language Understanding by Generative
Pre-Training", section 3.2).

Shapes: B batch, T time, D hidden, L labels.
"""

import dataclasses

from keras import ops

from tflm.config import check_choices, check_ranges
from tflm.models.head import Head, HeadConfig
from tflm.models.pooling import POOLINGS, encoded, pool


@dataclasses.dataclass
class ClassifierConfig(HeadConfig):
    """
    Attributes:
        num_labels: 0: as many as the training text has.
        pooling: what stands for a text: its first token, its last one, or the mean or the maximum over all of them; ""
            for the first of BERT's, which goes through a layer of its own, and else the mean.
        The others are those of HeadConfig.
    """

    num_labels: int = 0
    pooling: str = ""

    def __post_init__(self):
        super().__post_init__()
        check_choices(self, "model.", pooling=("", *POOLINGS))
        check_ranges(self, num_labels=(0, None))


class Classifier(Head):
    """`model(token_ids, segment_ids, padding_mask)` -> logits of the labels.

    Args:
        config: ClassifierConfig.
    """

    def __init__(self, config: ClassifierConfig, name="classifier"):
        super().__init__(config, config.num_labels, name=name)

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
        return self.outputs(pooled, training)

    def _pooled(self, token_ids, segment_ids, padding_mask, training):
        """(B, D)."""
        sequence = encoded(self.encoder, token_ids, segment_ids, padding_mask, training)
        if self.config.pooling == "" and hasattr(self.encoder, "pooled"):
            return self.encoder.pooled(sequence)
        return pool(sequence, padding_mask, self.config.pooling or "mean")
