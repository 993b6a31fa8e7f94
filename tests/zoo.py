"""Every family once, tiny: every guarantee of the project runs over this zoo."""

import numpy as np

from tflm import models
from tflm.models.gpt import GPTConfig
from tflm.models.rnn import RNNConfig
from tflm.models.word2vec import Word2VecConfig

VOCABULARY_SIZE = 260  # of the byte tokenizer

ZOO = {
    "word2vec": Word2VecConfig(vocabulary_size=VOCABULARY_SIZE, hidden_dim=16, window=4),
    "lstm": RNNConfig(
        vocabulary_size=VOCABULARY_SIZE, num_layers=2, hidden_dim=24, embedding_dim=16
    ),
    "gru": RNNConfig(
        vocabulary_size=VOCABULARY_SIZE,
        cell="gru",
        num_layers=1,
        hidden_dim=24,
        tie_embeddings=False,
    ),
    "gpt_rotary": GPTConfig(
        vocabulary_size=VOCABULARY_SIZE,
        num_layers=2,
        num_heads=4,
        num_key_value_heads=2,
        hidden_dim=32,
        max_sequence_length=48,
        activation="swiglu",
    ),
    "gpt_learned": GPTConfig(
        vocabulary_size=VOCABULARY_SIZE,
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        max_sequence_length=48,
        positions="learned",
        normalization="layer_norm",
        use_bias=True,
        tie_embeddings=False,
    ),
}


def build(name: str, seed: int = 0, precision: str = "float32"):
    """A model of the zoo with the weights of `spread`."""
    model = models.build(ZOO[name], seed, precision)
    spread(model, seed)
    return model


def spread(model, seed: int = 0) -> None:
    """Fills every variable with different numbers, large enough that the most likely token changes with the context.

    Matrices keep the size of what passes through them; gains stay near 1.
    """
    random = np.random.default_rng(seed)
    for variable in model.variables:
        shape, name = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
        if "seed_generator" in variable.path:
            continue
        if name in ("gamma", "scale"):
            value = random.uniform(0.8, 1.2, shape)
        elif len(shape) < 2:
            value = random.normal(0, 0.2, shape)
        elif "embedding" in variable.path:
            value = random.normal(0, 0.6, shape)
        else:
            value = random.normal(0, 1.5 * shape[0] ** -0.5, shape)
        variable.assign(value.astype("float32"))
