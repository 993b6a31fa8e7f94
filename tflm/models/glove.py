"""GloVe: word vectors whose products are the logarithms of how often words stand near each other.

Pennington, Socher and Manning 2014, "GloVe: Global Vectors for Word Representation": with X_ij the count of word j near
word i, f(x) = min(1, (x / x_max)^alpha), and for each word two vectors and two biases (equation 8),

    J = sum_ij f(X_ij) (w_i . w~_j + b_i + b~_j - log X_ij)^2

The word vectors are w + w~ (section 4.2). As in the authors' program a word's bias stands behind its vector, in the
same row, and begins like it.

Shapes: B batch, T time, D hidden, V vocabulary.
"""

import dataclasses

import keras
from keras import ops

from tflm.config import check_ranges
from tflm.models.initialization import small_uniform


@dataclasses.dataclass
class GloVeConfig:
    """
    Attributes:
        window: how many places to each side a word counts as near.
    """

    vocabulary_size: int = 0  # 0: the tokenizer's
    hidden_dim: int = 100
    window: int = 10

    def __post_init__(self):
        check_ranges(self, vocabulary_size=(0, None), hidden_dim=(1, None), window=(1, 257))


class GloVe(keras.Model):
    """Two tables of vectors with their biases.

    Args:
        config: GloVeConfig.
    """

    residual_projections = ()
    max_sequence_length = None
    initializers = {"input_embedding": small_uniform, "output_embedding": small_uniform}  # glove.c

    def __init__(self, config: GloVeConfig, name="glove"):
        super().__init__(name=name)
        self.config = config
        shape = (config.vocabulary_size, config.hidden_dim + 1)
        self.input_embedding = self.add_weight(shape=shape, name="input_embedding")
        self.output_embedding = self.add_weight(shape=shape, name="output_embedding")

    def call(self, token_ids, training=None):
        """(B, T) int32 -> the words' vectors (B, T, D)."""
        rows = ops.take(self.input_embedding, token_ids, axis=0)
        rows = rows + ops.take(self.output_embedding, token_ids, axis=0)
        return rows[..., : self.config.hidden_dim]

    def tables(self) -> dict:
        """What is learnt: `input` (V, D + 1), w_i and b_i of each word, and `output` (V, D + 1), w~_j and b~_j."""
        return {"input": self.input_embedding, "output": self.output_embedding}

    def embeddings(self):
        """The word vectors: (V, D)."""
        return (self.input_embedding + self.output_embedding)[:, : self.config.hidden_dim]
