"""`verify_resume` kills a real training, and sees every kind of difference."""

import json

import numpy as np
import pytest

from tests.programs import run_program, run_python
from tflm.run import Checkpoint, RunFolder
from trainers.run_differences import differences_of


def write_run(path, step=4, weight=1.0, slot=1.0, loss=0.5, extra=None):
    folder = RunFolder(path)
    folder.create()
    model = {"w": np.full(3, weight, "float32")} | (extra or {})
    folder.save(Checkpoint(step, model, {"slot": np.full(2, slot, "float32")}, {}), True)
    lines = [{"kind": "train", "step": 1, "loss": 2.0}, {"kind": "validation", "step": 1}]
    lines.append({"kind": "train", "step": 4, "loss": loss})
    folder.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"weight": np.nextafter(np.float32(1), np.float32(2))}, ["model: w differs"]),
        ({"weight": -0.0}, ["model: w differs"]),
        ({"slot": 2.0}, ["training: slot differs"]),
        ({"extra": {"v": np.zeros(1)}}, ["model: v is on one side only"]),
        ({"loss": 0.25}, ["loss of step 4: 0.5 and 0.25"]),
        ({"step": 8}, ["last checkpoint: step 4 and step 8"]),
    ],
)
def test_every_difference_is_seen(tmp_path, change, expected):
    straight = write_run(tmp_path / "straight")
    assert differences_of(straight, write_run(tmp_path / "broken", **change)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["word2vec", "lstm", "gpt_rotary"])
def test_a_killed_training_ends_where_the_straight_one_does(name, corpus, tmp_path):
    recipe = tmp_path / "mine.py"
    model = {} if name == "word2vec" else {"dropout": 0.2}
    recipe.write_text(
        "from tests.tiny_experiments import tiny_experiment\n\n\n"
        "def get_config():\n"
        f"    return tiny_experiment({name!r}, {str(corpus)!r}, {model}, accumulation=2, ema=0.9,"
        ' jit_compile="on")\n'
    )
    arguments = ["--steps=60", "--config.train.precision=mixed_bfloat16"]
    finished = run_program(
        "trainers.verify_resume", f"--config={recipe}", f"--work_dir={tmp_path}", *arguments
    )
    assert finished.code == 0, finished
    assert "killed with SIGKILL in step" in finished.out
    assert "passed: weights, optimizer, random states and 60 losses are equal" in finished.out


AWD_LSTM = """
import dataclasses

from tests.tiny_experiments import tiny_experiment
from trainers.objectives.causal import CausalConfig

RATES = ("input_dropout", "hidden_dropout", "output_dropout", "word_dropout", "weight_dropout")


def get_config():
    experiment = dataclasses.replace(
        tiny_experiment(
            "lstm",
            {corpus!r},
            {{"variational_dropout": True}} | dict.fromkeys(RATES, 0.2),
            optimizer="sgd",
            learning_rate=20.0,
            clip_norm=0.25,
            weight_decay=1e-6,
            average_after=1,
            accumulation=2,
            warmup_steps=0,
            jit_compile="on",
        ),
        objective=CausalConfig(activation_regularization=2.0, temporal_activation_regularization=1.0),
    )
    experiment.data.validation_corpus = {other!r}
    return experiment
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_killed_awd_lstm_ends_where_the_straight_one_does(backend, precision, corpus, tmp_path):
    """With every mask, AR, TAR and averaged SGD on, micro-batches, XLA, on both backends."""
    if backend == "jax":
        pytest.importorskip("jax")
    recipe = tmp_path / "mine.py"
    other = tmp_path / "other.txt"  # the better a model knows the corpus, the worse it is on this
    other.write_text("~^ |{}\n" * 40)
    recipe.write_text(AWD_LSTM.format(corpus=str(corpus), other=str(other)))
    finished = run_python(
        "-m",
        "trainers.verify_resume",
        f"--config={recipe}",
        f"--work_dir={tmp_path}",
        "--steps=40",
        f"--config.train.precision={precision}",
        env={"KERAS_BACKEND": backend},
    )
    assert finished.returncode == 0, finished
    assert "passed: weights, optimizer, random states and 40 losses are equal" in finished.stdout
    last = RunFolder(tmp_path / "straight").load_latest()
    assert 0 < int(last.training["sgd/first_averaged_step"]) < 40
