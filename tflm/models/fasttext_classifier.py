"""fastText's classifier: the mean of the vectors of a text's words and n-grams, and one linear layer over it.

Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification", equation 1: with the rows r of a text, the input
table A and the output table B,

    p = softmax(B mean_r(A_r)),    loss = -log p[label]

As in fastText, A begins uniform in +-1/D, B with zeros, and there is no bias; word n-grams and the character n-grams
of words (Bojanowski et al. 2017) share `buckets` rows behind those of the words. `tflm.text.ngrams` makes rows of
token ids. The softmax is always the full one.

Shapes: B batch, M rows of a text, L labels, D hidden, V vocabulary.
"""

import dataclasses

import keras
from keras import ops

from tflm.config import check_ranges
from tflm.errors import UserError
from tflm.models.initialization import zeros


@dataclasses.dataclass
class FastTextClassifierConfig:
    """
    Attributes:
        vocabulary_size: 0: the tokenizer's.
        num_labels: 0: as many as the training text has.
        word_ngrams: words of the longest word n-gram; 1 for none.
        min_n, max_n: characters of the n-grams that words are made of; max_n 0 for none.
        buckets: rows that n-grams are hashed into; used where there are n-grams.
    """

    vocabulary_size: int = 0
    num_labels: int = 0
    hidden_dim: int = 100
    word_ngrams: int = 2
    min_n: int = 3
    max_n: int = 0
    buckets: int = 200_000

    def __post_init__(self):
        check_ranges(
            self,
            vocabulary_size=(0, None),
            num_labels=(0, None),
            hidden_dim=(1, None),
            word_ngrams=(1, None),
            min_n=(1, None),
            max_n=(0, None),
            buckets=(1, None),
        )
        if 0 < self.max_n < self.min_n:
            raise UserError(
                f"`max_n` must be 0 or at least `min_n`. Received: max_n={self.max_n}, min_n={self.min_n}."
            )

    @property
    def num_rows(self) -> int:
        """Of the input table."""
        has_ngrams = self.word_ngrams > 1 or self.max_n > 0
        return self.vocabulary_size + (self.buckets if has_ngrams else 0)


def _uniform(random, shape):
    return (random.random(shape, dtype="float32") * 2 - 1) / shape[-1]


class FastTextClassifier(keras.Model):
    """
    Args:
        config: FastTextClassifierConfig.

    Attributes:
        pieces: the names of the V tokens, which n-grams are made of; None before `read_vocabulary`.
    """

    residual_projections = ()
    max_sequence_length = None
    initializers = {"input_vectors": _uniform, "output_vectors": zeros}

    def __init__(self, config: FastTextClassifierConfig, name="fasttext_classifier"):
        super().__init__(name=name)
        self.config = config
        self.pieces = None
        self.input_vectors = self.add_weight(
            shape=(config.num_rows, config.hidden_dim), initializer="zeros", name="input_vectors"
        )
        self.output_vectors = self.add_weight(
            shape=(config.num_labels, config.hidden_dim), initializer="zeros", name="output_vectors"
        )

    def read_vocabulary(self, pieces: list[str]) -> None:
        self.pieces = list(pieces)

    def call(self, row_ids, training=None):
        """Rows (B, M) int32 of `tflm.text.ngrams.TextBags`, filled up with 0 -> logits (B, L) float32."""
        used = ops.cast(row_ids > 0, "float32")[:, :, None]
        rows = ops.cast(ops.take(self.input_vectors, row_ids, axis=0), "float32") * used
        hidden = ops.sum(rows, axis=1) / ops.maximum(ops.sum(used, axis=1), 1.0)  # (B, D)
        return ops.matmul(hidden, ops.transpose(ops.cast(self.output_vectors, "float32")))

    def tables(self) -> dict:
        """What is learnt: `input` (V + buckets, D) and `output` (L, D)."""
        return {"input": self.input_vectors, "output": self.output_vectors}

    def embeddings(self):
        """The word vectors: (V, D)."""
        return self.input_vectors[: self.config.vocabulary_size]
