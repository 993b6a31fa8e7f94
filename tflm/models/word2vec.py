"""Word2Vec: two tables of vectors, trained as skip-gram, as a bag of words (CBOW) or as a causal bag of words.

Mikolov et al. 2013a, "Efficient Estimation of Word Representations in Vector Space" (CBOW, skip-gram);
Mikolov et al. 2013b, "Distributed Representations of Words and Phrases" (negative sampling, equation 4): with the input
vector v of a word, the output vector u of a word near it and those u_k of K words that were drawn,

    loss = -log sigmoid(u v) - sum_k log sigmoid(-u_k v)

As a language model it is a CBOW that looks only back: the average of the input vectors of the last `window` tokens
predicts the next one through a full softmax. The same tables, behind the same interface as `rnn` and `gpt`, make the
comparison on one scale possible.

Shapes: B batch, T time, D hidden, V vocabulary, W window.
"""

import dataclasses

import keras
from keras import ops

from tflm.config import check_ranges
from tflm.models.language_model import LanguageModel


@dataclasses.dataclass
class Word2VecConfig:
    vocabulary_size: int = 0  # 0: the tokenizer's
    hidden_dim: int = 100
    window: int = 5

    def __post_init__(self):
        check_ranges(self, vocabulary_size=(0, None), hidden_dim=(1, None), window=(1, None))


class Word2Vec(LanguageModel):
    """Input vectors (the word vectors) and output vectors.

    Args:
        config: Word2VecConfig.
    """

    residual_projections = ()
    max_sequence_length = None  # the state has a fixed size
    carries_state = False  # the window is short: shuffled batches serve better than an order
    bags = None  # a word is one row

    def __init__(self, config: Word2VecConfig, name="word2vec"):
        super().__init__(name=name)
        self.config = config
        self.token_embedding = keras.layers.Embedding(
            config.vocabulary_size, config.hidden_dim, name="token_embedding"
        )
        self.output_embedding = self.add_weight(
            shape=(config.vocabulary_size, config.hidden_dim), name="output_embedding"
        )
        self.output_bias = self.add_weight(
            shape=(config.vocabulary_size,), initializer="zeros", name="output_bias"
        )

    def initial_state(self, batch_size: int, max_length: int | None = None) -> dict:
        """The tokens still in the window: `recent_tokens` (B, W - 1). `max_length` is not needed."""
        return {"recent_tokens": ops.zeros((batch_size, self.config.window - 1), "int32")}

    def hidden(self, token_ids, state=None, position=0, training=None):
        """(B, T) int32 and the state at `position` -> the average of the window (B, T, D), and the state after.

        Without a state a text begins.
        """
        if state is None:
            state = self.initial_state(ops.shape(token_ids)[0])
        window, time = self.config.window, ops.shape(token_ids)[1]
        tokens = ops.concatenate([state["recent_tokens"], token_ids], axis=1)  # (B, W - 1 + T)
        vectors = self.token_embedding(tokens)
        # Slots before the first token of the text hold nothing and count for nothing.
        slots = position - (window - 1) + ops.arange(window - 1 + time, dtype="int32")
        vectors = ops.where((slots >= 0)[None, :, None], vectors, 0)
        total = vectors[:, :time]
        for shift in range(1, window):
            total = total + vectors[:, shift : shift + time]
        count = ops.clip(position + 1 + ops.arange(time, dtype="int32"), 1, window)
        average = total / ops.cast(count, total.dtype)[None, :, None]  # (B, T, D)
        return average, {"recent_tokens": tokens[:, time:]}

    def output_table(self):
        """The output vectors (V, D), and the bias (V,)."""
        return self.output_embedding, self.output_bias

    def tables(self) -> dict:
        """What skip-gram and CBOW learn: `input` (V, D), the word vectors, and `output` (V, D)."""
        return {"input": self.token_embedding.embeddings, "output": self.output_embedding}

    def embeddings(self):
        """The word vectors: (V, D)."""
        return self.token_embedding.embeddings
