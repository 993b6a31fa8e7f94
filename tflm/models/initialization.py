"""The initial value of every variable, in one place.

A value depends on (seed, path of the variable) and on nothing else: not on the backend, not on the order in which
layers were made. Two backends therefore start from the same weights.
"""

import hashlib

import numpy as np

from tflm import models
from tflm.layers.lora import LAST_FACTOR

STANDARD_DEVIATION = 0.02  # Radford et al. 2019


def initialize(model, seed: int, initializers: dict) -> None:
    """Assigns every variable of `model`, the states of its random generators included.

    Embeddings and kernels are normal with deviation 0.02, the input kernels of recurrent layers with 1/sqrt(fan in);
    projections back into the residual stream are scaled by 1/sqrt(2 * num_layers) (GPT-2); recurrent kernels
    are orthogonal; the forget gate of an LSTM starts open (Jozefowicz et al. 2015); gains are 1, biases 0.

    A model may say otherwise in `initializers`: the last part of a variable's path -> f(random, shape) -> array. What
    is given here goes before it.
    """
    described = models.encoder_of(model)  # what stands on an encoder has nothing of its own
    own = getattr(described, "initializers", {}) | initializers
    for variable in model.variables:
        variable.assign(_initial_value(described, variable, seed, own))


def generator(seed: int, path: str) -> np.random.Generator:
    """A random generator of its own for every variable."""
    digest = hashlib.blake2b(f"{seed}:{path}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def _initial_value(model, variable, seed: int, own: dict) -> np.ndarray:
    path, shape = variable.path, tuple(variable.shape)
    name = path.rsplit("/", 1)[-1]
    random = generator(seed, path)
    if name in own:
        return own[name](random, shape).astype("float32")
    if "seed_generator" in path:
        return random.integers(0, 2**31, shape).astype("uint32")
    if name in ("gamma", "scale"):
        return np.ones(shape, "float32")
    if name == LAST_FACTOR:
        return np.zeros(shape, "float32")
    if "bias" in name or name == "beta":
        value = np.zeros(shape, "float32")
        if "input_projection" in path and model.cell == "lstm":
            units = len(value) // 4
            value[units : 2 * units] = 1.0
        return value
    if name == "recurrent_kernel":
        blocks = [_orthogonal(random, shape[0]) for _ in range(shape[1] // shape[0])]
        return np.concatenate(blocks, axis=1)
    deviation = STANDARD_DEVIATION
    if "recurrent_" in path or "narrow" in path:
        deviation = shape[0] ** -0.5
    if any(f"/{projection}/" in path for projection in model.residual_projections):
        deviation /= (2 * model.config.num_layers) ** 0.5
    return random.normal(0, deviation, shape).astype("float32")


def _orthogonal(random: np.random.Generator, size: int) -> np.ndarray:
    q, r = np.linalg.qr(random.normal(size=(size, size)))
    return (q * np.sign(np.diag(r))).astype("float32")


def small_uniform(random: np.random.Generator, shape) -> np.ndarray:
    """Uniform in +-0.5/D, as word2vec.c begins the table of input vectors (V, D)."""
    return (random.random(shape, dtype="float32") - 0.5) / shape[-1]


def glorot_uniform(random: np.random.Generator, shape) -> np.ndarray:
    """Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16."""
    limit = (6 / (shape[0] + shape[1])) ** 0.5
    return random.uniform(-limit, limit, shape)


def normal_by_width(random: np.random.Generator, shape) -> np.ndarray:
    """Rows (V, D) of length 1 on average, so that logits of normed states have a variance of 1."""
    return random.normal(0, shape[-1] ** -0.5, shape)


def zeros(random: np.random.Generator, shape) -> np.ndarray:
    return np.zeros(shape, "float32")
