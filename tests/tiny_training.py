"""A model of the zoo with an objective and an optimizer, ready for single steps outside of `fit`."""

import dataclasses

import numpy as np
from keras import ops

from tests.zoo import VOCABULARY_SIZE, ZOO
from tflm import models
from tflm.data.store import TokenSplit
from trainers import objectives, optimizers
from trainers.experiment import TrainConfig
from trainers.objectives.causal import CausalConfig
from trainers.train_step import TensorFlowTrainingModel


def token_split(tokens, name: str = "train", num_bytes: int = 0, num_documents: int = 1):
    """A TokenSplit over an array."""
    tokens = np.asarray(tokens, "uint16")
    return TokenSplit(
        name=name,
        tokens=tokens,
        document_starts=np.zeros(num_documents, "int64"),
        num_bytes=num_bytes or len(tokens),
        num_characters=len(tokens),
        num_words=len(tokens) // 5,
        num_documents=num_documents,
        num_unknown=0,
    )


def learnable_tokens(count: int, seed: int = 0) -> np.ndarray:
    """Tokens of which every second one follows from the one before it."""
    random = np.random.default_rng(seed)
    first = random.integers(4, 20, count // 2)
    return np.stack([first, first + 20], axis=1).reshape(-1)


def tiny_training(
    name: str, model: dict | None = None, objective=None, precision: str = "float32", **train
):
    """The TrainingModel of the zoo's `name` and its batches.

    Args:
        model: fields of the model's config to change. train: fields of TrainConfig.

    Returns:
        training, and a source of batches of 4 rows of 8 tokens.
    """
    settings = {"batch_size": 4, "sequence_length": 8, "warmup_steps": 0, "schedule": "constant"}
    config = TrainConfig(**(settings | train))
    objective = objectives.build(objective or CausalConfig())
    built = models.build(
        dataclasses.replace(ZOO[name], vocabulary_size=VOCABULARY_SIZE, **(model or {})),
        config.seed,
        precision,
    )
    source = objective.batches(token_split(learnable_tokens(1000)), built, config)
    training = TensorFlowTrainingModel(built, objective, config.batch_size, config.accumulation)
    optimizer = optimizers.build(config, built.trainable_variables, precision)
    training.compile(optimizer=optimizer, jit_compile=False, auto_scale_loss=False)
    return training, source


def train_step(training, batch: dict) -> dict[str, float]:
    """One update; returns what it logs."""
    logs = training.train_step({name: ops.convert_to_tensor(v) for name, v in batch.items()})
    return {name: float(value) for name, value in logs.items()}


def weights(training) -> dict[str, np.ndarray]:
    return {
        v.path: np.array(ops.convert_to_numpy(v.value)) for v in training.model.trainable_variables
    }
