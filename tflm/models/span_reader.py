"""A reader of questions: where in a text that it reads the answer begins and ends.

Devlin et al. 2019, section 4.2: one linear layer gives each token two numbers, for being the first and for being the
last of the answer. Both are highest at position 0 where there is no answer (section 4.3).

Shapes: B batch, T time.
"""

import dataclasses

from tflm.models.head import Head, HeadConfig
from tflm.models.pooling import encoded


@dataclasses.dataclass
class SpanReaderConfig(HeadConfig):
    """Attributes: those of HeadConfig. An encoder that only looks back knows nothing of the answer at position 0."""


class SpanReader(Head):
    """`model(token_ids, segment_ids, padding_mask)` -> logits of the answer's first and last token.

    Args:
        config: SpanReaderConfig.
    """

    def __init__(self, config: SpanReaderConfig, name="span_reader"):
        super().__init__(config, 2, name=name)

    def call(self, token_ids, segment_ids=None, padding_mask=None, training=None):
        """
        Args:
            token_ids: (B, T) int32, a question and its context, `tflm.data.passages`; padding at the end.
            segment_ids: (B, T) int32, 1 from the context on; for BERT.
            padding_mask: (B, T) bool, True where a token is; None for everywhere.

        Returns:
            (B, T, 2) float32; what stands on padding says nothing.
        """
        sequence = encoded(self.encoder, token_ids, segment_ids, padding_mask, training)
        return self.outputs(sequence, training)
