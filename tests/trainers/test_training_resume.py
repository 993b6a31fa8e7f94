"""A training that stopped and went on ends exactly where an undisturbed one ends."""

import dataclasses
import json

import numpy as np
import pytest

from tests.tiny_experiments import tiny_experiment
from tflm.run import RunFolder
from trainers import fit
from trainers.objectives.causal import CausalConfig
from trainers.run_differences import differences_of

# Everything that has a state: dropout, micro-batches, a moving average, momentum.
SETTINGS = {"ema": 0.8, "accumulation": 2, "steps": 8, "eval_every": 3, "keep_checkpoints": 9}
FAMILIES = {
    "word2vec": {},
    "lstm": {"dropout": 0.3},
    "gpt_rotary": {"dropout": 0.3, "num_layers": 1},
}


def losses(run_dir) -> dict:
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    timed = ("seconds", "tokens_per_second", "memory_mib", "mfu")
    return {(e["kind"], e["step"]): {k: v for k, v in e.items() if k not in timed} for e in entries}


def assert_same(one, other):
    assert differences_of(one, other) == []
    assert losses(one) == losses(other)
    last, again = RunFolder(one).load_latest(), RunFolder(other).load_latest()
    progress, same_progress = last.state["progress"], again.state["progress"]
    assert progress.pop("seconds") > 0
    assert same_progress.pop("seconds") > 0
    assert progress == same_progress
    assert last.state["metrics"] == again.state["metrics"]


@pytest.mark.parametrize("name", FAMILIES)
def test_half_and_half_is_the_whole(name, corpus, tmp_path):
    """Trained to step 6 of 8 and on, and straight: weights, slots, random states and losses bit for bit."""
    model = FAMILIES[name]
    # XLA takes long over the others' loops.
    settings = SETTINGS | {"jit_compile": "on" if name == "gpt_rotary" else "off"}
    fit.train(tiny_experiment(name, corpus, model, **settings), tmp_path / "straight")
    # `steps` decides the schedule, so the first half is cut by taking its later checkpoint away.
    fit.train(tiny_experiment(name, corpus, model, **settings), tmp_path / "broken")
    broken = RunFolder(tmp_path / "broken")
    for path in broken.checkpoints.glob("step_00000008"):
        (path / "model.safetensors").write_bytes(b"")
    result = fit.train(tiny_experiment(name, corpus, model, **settings), tmp_path / "broken")
    assert result.progress.step == 8
    assert_same(tmp_path / "straight", tmp_path / "broken")
    arrays = RunFolder(tmp_path / "straight").load_latest()
    changed = RunFolder(tmp_path / "straight").load_step(3)
    moved = [k for k in arrays.model if (arrays.model[k] != changed.model[k]).any()]
    assert set(moved) == set(arrays.model), "everything trains, and random states move on"
    assert np.isfinite([v for k, v in arrays.state["metrics"].items()]).all()


def test_a_regularized_lstm_goes_on_with_its_masks_and_its_mean(corpus, tmp_path):
    """AWD-LSTM with all of it on: every mask, AR and TAR, and a mean of the weights that has begun."""
    rates = ("input_dropout", "hidden_dropout", "output_dropout", "word_dropout", "weight_dropout")
    experiment = dataclasses.replace(
        tiny_experiment(
            "lstm",
            corpus,
            {"variational_dropout": True} | dict.fromkeys(rates, 0.2),
            optimizer="sgd",
            learning_rate=60.0,
            clip_norm=0.25,
            weight_decay=1e-6,
            average_after=1,
            accumulation=2,
            precision="mixed_bfloat16",
            steps=8,
            eval_every=1,
            keep_checkpoints=9,
            warmup_steps=0,
        ),
        objective=CausalConfig(
            activation_regularization=2.0, temporal_activation_regularization=1.0
        ),
    )
    fit.train(experiment, tmp_path / "straight")
    fit.train(experiment, tmp_path / "broken")
    broken = RunFolder(tmp_path / "broken")
    for step in (7, 8):
        (broken.checkpoints / f"step_{step:08d}" / "model.safetensors").write_bytes(b"")
    began = int(broken.load_step(6).training["sgd/first_averaged_step"])
    assert 0 < began < 6, "averaging had begun where the training stopped"
    assert fit.train(experiment, tmp_path / "broken").progress.step == 8
    assert_same(tmp_path / "straight", tmp_path / "broken")
    last, before = broken.load_latest(), broken.load_step(6)
    for path, value in last.model.items():
        assert (value != before.model[path]).any(), path
        if "seed_generator" not in path:
            assert (value != last.training["raw/" + path]).any(), "the mean is what is kept"
