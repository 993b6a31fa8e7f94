"""FastText: word vectors that know what words are spelt of.

Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information": a word's input vector is made of its own
row and of those of its character n-grams (section 3.2), which are hashed into buckets. Here, as in fastText itself,
it is their mean; a word that was never seen is the mean of its n-grams alone. Trained as skip-gram (equation 1) or
CBOW.

Shapes: B batch, T time, D hidden, V vocabulary.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from tflm.config import check_ranges
from tflm.errors import UserError
from tflm.models.initialization import small_uniform, zeros
from tflm.text.bags import Bags
from tflm.text.subwords import Subwords
from tflm.text.tokenizer import SPECIAL_PIECES


@dataclasses.dataclass
class FastTextConfig:
    """
    Attributes:
        min_n, max_n: characters of an n-gram, `<` and `>` around the word included. max_n 0: no n-grams.
        buckets: rows that n-grams are hashed into; fastText has 2,000,000.
    """

    vocabulary_size: int = 0  # 0: the tokenizer's
    hidden_dim: int = 100
    window: int = 5
    min_n: int = 3
    max_n: int = 6
    buckets: int = 200_000

    def __post_init__(self):
        check_ranges(
            self,
            vocabulary_size=(0, None),
            hidden_dim=(1, None),
            window=(1, None),
            min_n=(1, None),
            max_n=(0, None),
            buckets=(1, 2**31),
        )
        if self.max_n and self.max_n < self.min_n:
            raise UserError(
                "`max_n` must be at least `min_n`, or 0 for no n-grams. "
                f"Received: min_n={self.min_n}, max_n={self.max_n}."
            )


class FastText(keras.Model):
    """Word vectors of the vocabulary and of any other word.

    Args:
        config: FastTextConfig.

    Attributes:
        bags: the rows that each word of the vocabulary is the mean of; None before `read_vocabulary`.
    """

    residual_projections = ()
    max_sequence_length = None
    initializers = {"input_embedding": small_uniform, "output_embedding": zeros}  # fastText

    def __init__(self, config: FastTextConfig, name="fasttext"):
        super().__init__(name=name)
        self.config = config
        self.bags = None
        self.input_embedding = self.add_weight(
            shape=(config.vocabulary_size + config.buckets, config.hidden_dim),
            name="input_embedding",
        )
        self.output_embedding = self.add_weight(
            shape=(config.vocabulary_size, config.hidden_dim), name="output_embedding"
        )

    def call(self, token_ids, training=None):
        """(B, T) int32 -> the words' own rows (B, T, D), without their n-grams; see `embeddings`."""
        return ops.take(self.input_embedding, token_ids, axis=0)

    def tables(self) -> dict:
        """What skip-gram and CBOW learn: `input` (V + buckets, D) and `output` (V, D)."""
        return {"input": self.input_embedding, "output": self.output_embedding}

    def read_vocabulary(self, words: list[str]) -> None:
        """Finds the n-grams of every word; needed before training and before `embeddings`.

        Args:
            words: V, in the order of their ids; the special tokens among them have no n-grams.
        """
        config, first = self.config, len(SPECIAL_PIECES)
        subwords = Subwords(config.min_n, config.max_n, config.buckets)
        buckets, splits = subwords.of_words(words[first:])
        sizes = np.concatenate([np.zeros(first, np.int64), np.diff(splits)]) + 1
        # A model's vocabulary may be larger than the tokenizer's.
        sizes = np.concatenate([sizes, np.ones(config.vocabulary_size - len(sizes), np.int64)])
        splits = np.concatenate([[0], np.cumsum(sizes)])
        ids = np.empty(splits[-1], np.int32)
        is_own = np.zeros(splits[-1], bool)
        is_own[splits[:-1]] = True
        ids[is_own] = np.arange(config.vocabulary_size)
        ids[~is_own] = config.vocabulary_size + buckets
        self.bags = Bags(ids, splits)

    def embeddings(self):
        """The vector of every word of the vocabulary: (V, D)."""
        table = ops.convert_to_numpy(self.input_embedding.value)
        return ops.convert_to_tensor(self.bags.means(table))
