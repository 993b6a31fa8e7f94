"""Runs that are trained once for all tests of the programs that read runs."""

import dataclasses
from pathlib import Path

import pytest

TINY = {"sample_tokens": 0, "sample_prompts": ("the cat ",)}


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory, corpus) -> dict[str, Path]:
    """Three runs on one text: `word2vec` on bytes, `gpt` on subwords, `vectors` by skip-gram on lower-case words.

    Not to be written to: tests that change a run copy it.
    """
    from tests.tiny_experiments import tiny_experiment
    from tflm.text.tokenizer import TokenizerConfig
    from trainers import fit
    from trainers.objectives.skip_gram import SkipGramConfig

    subwords = dataclasses.replace(
        tiny_experiment("gpt_rotary", corpus, **TINY),
        tokenizer=TokenizerConfig(kind="sentencepiece", vocabulary_size=360),
    )
    vectors = dataclasses.replace(
        tiny_experiment(
            "word2vec",
            corpus,
            steps=60,
            batch_size=16,
            eval_every=30,
            optimizer="sgd",
            learning_rate=0.05,
            clip_norm=0.0,
            weight_decay=0.0,
            **TINY,
        ),
        objective=SkipGramConfig(subsample=0.0),
        tokenizer=TokenizerConfig(kind="word", normalization=("lowercase",)),
    )
    experiments = {
        "word2vec": tiny_experiment("word2vec", corpus, **TINY),
        "gpt": subwords,
        "vectors": vectors,
    }
    folder = tmp_path_factory.mktemp("runs")
    for name, experiment in experiments.items():
        fit.train(experiment, folder / name)
    return {name: folder / name for name in experiments}
