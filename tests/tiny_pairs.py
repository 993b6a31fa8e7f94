"""Pairs of texts, and experiments that learn from them in seconds."""

import dataclasses
from pathlib import Path

import numpy as np

from tests import zoo
from tflm.data.corpora import DataConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.seq2seq import Seq2SeqConfig

NUM_PAIRS = 300  # enough for buckets of several lengths
WORDS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "acht": "eight"}


def pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Numbers in German, and in English from the last to the first."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        words = random.choice(list(WORDS), random.integers(1, 5)).tolist()
        found.append((" ".join(words), " ".join(WORDS[word] for word in reversed(words))))
    return found


def write_pairs(folder: Path, name: str, count: int, seed: int = 0) -> str:
    """Two parallel files, as --corpus names them."""
    sides = zip(*pairs(count, seed), strict=True)
    paths = [folder / f"{name}.{language}" for language in ("de", "en")]
    for path, lines in zip(paths, sides, strict=True):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ",".join(map(str, paths))


def pair_experiment(
    name: str, folder: Path, objective: dict | None = None, model: dict | None = None, **train
) -> Experiment:
    """An experiment on pairs of bytes, which it writes into `folder`.

    Args:
        name: of a member of either zoo.
        objective, model: fields of their configs to change. train: fields of TrainConfig.
    """
    settings = {
        "steps": 6,
        "batch_size": 4,
        "sequence_length": 32 if name in zoo.SEQ2SEQ_ZOO else 48,
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "eval_every": 3,
        "log_every": 1,
        "sample_tokens": 0,
        "jit_compile": "off",
    }
    config = (zoo.ZOO | zoo.SEQ2SEQ_ZOO)[name]
    sizes = {"vocabulary_size": 0}
    if hasattr(config, "source_vocabulary_size"):
        sizes["source_vocabulary_size"] = 0
    return Experiment(
        model=dataclasses.replace(config, **(sizes | (model or {}))),
        objective=Seq2SeqConfig(**({"metric_pairs": 0} | (objective or {}))),
        tokenizer=TokenizerConfig(kind="byte"),
        data=DataConfig(
            corpus=write_pairs(folder, "train", NUM_PAIRS),
            validation_corpus=write_pairs(folder, "val", 9, seed=1),
            test_corpus=write_pairs(folder, "test", 8, seed=2),
            workers=1,
        ),
        train=TrainConfig(**(settings | train)),
    )
