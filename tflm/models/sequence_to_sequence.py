"""What every encoder-decoder is to the rest of the project: a language model of the target that has read a source.

Shapes: B batch, S source time, T target time, D what goes into the output layer, V vocabulary of the target.
"""

import keras
from keras import ops

from tflm.config import check_choices
from tflm.errors import UserError
from tflm.models.initialization import glorot_uniform, normal_by_width
from tflm.models.language_model import LanguageModel

PAD_ID = 0  # of the tokenizers that trainers/objectives/seq2seq.py takes; a text never holds it
# What one table serves: both sides' input and the output (Press and Wolf 2017), input and output of the decoder,
# or one thing only.
SHARING = ("all", "decoder", "none")


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

    Args:
        config: the family's, with vocabulary_size, source_vocabulary_size (0: the target's) and share_embeddings.
        width: E, of the embeddings and of what goes into the output layer.
    """

    residual_projections = ()
    carries_state = False
    # As fairseq begins a Transformer: queries, keys and values are one wide matrix here, whose limit is therefore that
    # of three squares divided by the root of 2.
    initializers = {
        "kernel": glorot_uniform,
        "embeddings": normal_by_width,
        "unembedding": normal_by_width,
    }

    def __init__(self, config, width: int, name: str):
        super().__init__(name=name)
        check_sharing(config)
        self.config = config
        size = config.vocabulary_size
        self.token_embedding = keras.layers.Embedding(size, width, name="token_embedding")
        self.source_embedding = self.token_embedding
        if config.share_embeddings != "all":
            self.source_embedding = keras.layers.Embedding(
                config.source_vocabulary_size or size, width, name="source_embedding"
            )
        if config.share_embeddings == "none":
            self.unembedding = self.add_weight(shape=(size, width), name="unembedding")

    @property
    def max_sequence_length(self) -> int | None:
        return self.config.max_sequence_length

    @property
    def max_source_length(self) -> int | None:
        return self.config.max_source_length

    def output_table(self):
        """(V, E), no bias."""
        if self.config.share_embeddings == "none":
            return self.unembedding, None
        return self.token_embedding.embeddings, None

    def embeddings(self):
        """The input embedding of every token of the target: (V, E)."""
        return self.token_embedding.embeddings

    def call(self, token_ids, source_ids, training=None):
        """(B, T), (B, S) int32 -> logits (B, T, V) float32 of a target that begins with token_ids[:, 0]."""
        encoded = self.encode(source_ids, training=training)
        return self.logits(self.hidden(token_ids, encoded, training=training)[0])

    def initial_state(self, source_ids, max_length):
        """The state before the first token of targets of at most `max_length` tokens."""
        return self.start(self.encode(source_ids, training=False), max_length)


def check_sharing(config) -> None:
    """Whether one table can serve what it is meant to serve.

    Raises:
        UserError: for an unknown way of sharing, and for two vocabularies in one table.
    """
    check_choices(config, share_embeddings=SHARING)
    sizes = {config.vocabulary_size, config.source_vocabulary_size} - {0}
    if config.share_embeddings == "all" and len(sizes) > 1:
        raise UserError(
            "share_embeddings=all needs one vocabulary for source and target; give share_embeddings=decoder. Received: "
            f"source_vocabulary_size={config.source_vocabulary_size}, vocabulary_size={config.vocabulary_size}."
        )


def source_mask(source_ids):
    """(B, S) bool: where a token is, and no padding."""
    return ops.not_equal(source_ids, PAD_ID)
