"""With or without XLA, and in which precision: what is left open, what is taken, and what a run folder remembers."""

import json

import pytest

from tests.tiny_experiments import tiny_experiment
from tflm.errors import UserError
from trainers import compilation, fit, precision
from trainers.compilation import Measured, candidates
from trainers.experiment import TrainConfig

BOTH = ["float32", "mixed_bfloat16"]


def test_what_is_left_open():
    def of(jit_compile, precisions=BOTH, steps=1000, only_compiled=False):
        config = TrainConfig(jit_compile=jit_compile, steps=steps)
        return candidates(config, precisions, only_compiled)

    assert of("auto") == [("float32", True), ("float32", False), ("mixed_bfloat16", False)]
    assert of("on") == [("float32", True)]
    assert of("off") == [("float32", False), ("mixed_bfloat16", False)]
    assert of("auto", ["mixed_float16"]) == [("mixed_float16", True), ("mixed_float16", False)]
    assert of("auto", steps=199) == [("float32", False)]
    assert of("auto", only_compiled=True) == [("float32", True)]


@pytest.mark.parametrize(
    ("preparation", "step", "steps", "expected"),
    [
        # Compiling takes 10 s and saves 10 ms a step.
        ((10, 0, 0), (0.01, 0.02, 0.02), 500, ("float32", False)),
        ((10, 0, 0), (0.01, 0.02, 0.02), 1500, ("float32", True)),
        # bfloat16 is taken only where it gains much.
        ((0, 0, 0), (0.1, 0.2, 0.09), 1000, ("float32", True)),
        ((0, 0, 0), (0.1, 0.2, 0.08), 1000, ("mixed_bfloat16", False)),
    ],
)
def test_what_takes_the_least_time_is_taken(monkeypatch, preparation, step, steps, expected):
    choices = [("float32", True), ("float32", False), ("mixed_bfloat16", False)]
    times = {
        choice: Measured(*choice, *measured)
        for choice, *measured in zip(choices, preparation, step, strict=True)
    }
    monkeypatch.setattr(compilation, "_measure", lambda build, *choice: times[choice])
    said = []
    assert compilation.fastest(None, choices, steps, said.append) == expected
    assert f"float32 with XLA {step[0] * 1e3:.0f} ms a step" in said[0]


def test_a_measured_step_leaves_nothing_behind_and_is_remembered(corpus, tmp_path, monkeypatch):
    """The run is that of the settings that were found, given by hand; it goes on with them."""
    monkeypatch.setattr(compilation, "FEWEST_STEPS", 3)
    open_run = tiny_experiment("gpt_rotary", corpus, jit_compile="auto", precision="auto")
    first = fit.train(open_run, tmp_path / "open")
    stored = json.loads((tmp_path / "open" / "experiment.json").read_text())["train"]
    assert stored["precision"] == "float32"
    assert stored["jit_compile"] in ("on", "off")
    given = tiny_experiment("gpt_rotary", corpus, jit_compile=stored["jit_compile"])
    assert fit.train(given, tmp_path / "given").metrics == first.metrics
    # Measured again it would be the other way.
    other = stored["jit_compile"] != "on"
    monkeypatch.setattr(
        compilation,
        "fastest",
        lambda build, choices, *_: next((c for c in choices if c[1] == other), choices[0]),
    )
    again = tiny_experiment("gpt_rotary", corpus, steps=9, jit_compile="auto", precision="auto")
    fit.train(again, tmp_path / "open")
    later = json.loads((tmp_path / "open" / "experiment.json").read_text())["train"]
    assert later["jit_compile"] == stored["jit_compile"]


def test_small_steps_stay_in_float32():
    objective = type("Objective", (), {"loss": None})()
    assert precision.choices(objective, "auto", operations=1e9) == ["float32"]
    assert precision.choices(objective, "mixed_bfloat16", operations=1e9) == ["mixed_bfloat16"]


def test_an_unknown_way_is_one_line(corpus):
    experiment = tiny_experiment("gpt_rotary", corpus, jit_compile="True")
    with pytest.raises(UserError, match="train.jit_compile.*auto, off, on"):
        experiment.train.check()
