"""What every encoder-decoder is to the rest of the project: a language model of the target that has read a source.

Shapes: B batch, S source time, T target time, D what goes into the output layer, V vocabulary of the target.
"""

from keras import ops

from tflm.models.language_model import LanguageModel

PAD_ID = 0  # of every tokenizer; a text never holds it


class SequenceToSequence(LanguageModel):
    """A source is read once, and then the target goes through `hidden` and `step` as any text does.

    A family has, beside `output_table` of LanguageModel,

        encode(source_ids, training=None)                     -> a dict of tensors, each with B in front
        start(encoded, max_length)                            -> the state before the first token of the target
        hidden(token_ids, state, position=0, training=None)   -> (B, T, D), and the state after the tokens
        source_attention(token_ids, source_ids)               -> (B, T, S) float32, where each step looked

    `source_ids` (B, S) int32 end in padding (id 0) where a source is shorter; what stands there changes nothing. The
    state is a dict that holds `encoded`, and what a step needs of the target before it. `hidden` also takes `encoded`
    alone: then a target begins, and no cache is kept, which is how a loss reads it.

    `max_source_length` and `max_sequence_length` are the longest source and target, or None for no limit.
    """

    max_source_length = None

    def call(self, token_ids, source_ids, training=None):
        """(B, T), (B, S) int32 -> logits (B, T, V) float32 of a target that begins with token_ids[:, 0]."""
        encoded = self.encode(source_ids, training=training)
        return self.logits(self.hidden(token_ids, encoded, training=training)[0])

    def initial_state(self, source_ids, max_length):
        """The state before the first token of targets of at most `max_length` tokens."""
        return self.start(self.encode(source_ids, training=False), max_length)


def source_mask(source_ids):
    """(B, S) bool: where a token is, and no padding."""
    return ops.not_equal(source_ids, PAD_ID)
