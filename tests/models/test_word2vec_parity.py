"""Word2Vec's causal bag of words against a loop in numpy; skip-gram and CBOW are in tests/trainers."""

import numpy as np
import pytest

from tests import zoo
from tflm import models
from tflm.models.word2vec import Word2VecConfig
from tflm.run import named_arrays


def tables(model) -> list[np.ndarray]:
    names = ("token_embedding/embeddings", "output_embedding", "output_bias")
    arrays = named_arrays(model.variables)
    return [arrays[f"word2vec/{name}"].astype("float64") for name in names]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_bag_of_words_equals_a_loop(window):
    model = models.build(Word2VecConfig(vocabulary_size=9, hidden_dim=4, window=window))
    zoo.spread(model)
    token_ids = np.random.default_rng(0).integers(0, 9, (2, 8)).astype("int32")
    vectors, outputs, bias = tables(model)
    logits = np.array(model(token_ids))
    for row in range(2):
        for t in range(8):
            recent = token_ids[row, max(0, t - window + 1) : t + 1]
            average = sum(vectors[token] for token in recent) / len(recent)
            expected = [average @ outputs[word] + bias[word] for word in range(9)]
            np.testing.assert_allclose(logits[row, t], expected, atol=1e-5)
