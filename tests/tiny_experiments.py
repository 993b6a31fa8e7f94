"""Experiments that train in seconds, on bytes: one for every member of the zoo."""

import dataclasses

from tests.zoo import ZOO
from tflm.data.corpora import DataConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig


def tiny_experiment(name: str, corpus, model: dict | None = None, **train) -> Experiment:
    """An experiment on `corpus` with the zoo's model `name`.

    Args:
        model: fields of the model's config to change.
        train: fields of TrainConfig to change.
    """
    settings = {
        "steps": 6,
        "batch_size": 4,
        "sequence_length": 16,
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "eval_every": 3,
        "eval_tokens": 200,
        "log_every": 1,
        "sample_tokens": 0,
        "jit_compile": "off",  # compiling takes longer than these steps
    }
    return Experiment(
        model=dataclasses.replace(ZOO[name], vocabulary_size=0, **(model or {})),
        objective=CausalConfig(),
        tokenizer=TokenizerConfig(kind="byte"),
        data=DataConfig(corpus=str(corpus), documents="line", workers=1),
        train=TrainConfig(**(settings | train)),
    )
