"""A dry run measures, says so, and leaves nothing behind."""

import re

import pytest

from tests.programs import run_program
from tests.tiny_experiments import tiny_experiment
from trainers import dry_run
from trainers.experiment import TrainConfig


def measured(**values):
    figures = {
        "parameters": 1_000,
        "weights": 4_000,
        "slots": 8_000,
        "working": 5_000_000,
        "where": "process",
        "first_step": 20.0,
        "step": 0.5,
        "validation": 3.0,
        "save": 1.0,
        "checkpoint": 12_000,
        "tokens_per_step": 512,
        "mfu": 0.25,
    }
    return dry_run.Measured(**(figures | values))


def test_the_time_is_that_of_steps_validations_and_checkpoints():
    # 20 s and 99 steps of half a second; validation after 40, 80 and 100 steps, 4 s each with the checkpoint.
    assert measured().seconds(TrainConfig(steps=100, eval_every=40)) == 20 + 99 * 0.5 + 3 * 4


def test_the_report_says_what_was_measured():
    train = TrainConfig(steps=100, eval_every=40, batch_size=4, accumulation=2)
    assert dry_run.report(measured(), train) == [
        "parameters: 1,000",
        "memory: weights 0.0 MB, optimizer slots and carried states 0.0 MB, activations, gradients and compiled code "
        "5.0 MB (measured: the most that the process used over 11 steps, less what it used before)",
        "speed: 1,024 tokens/s, 500.0 ms a step, on average over 10 steps, 25.0% of this machine's matmul rate; "
        "20.0 s for the first one, which compiles",
        "time: 01:21 for 100 steps of 512 tokens in 2 parts, with 3 validations of 3.0 s",
        "disk: 0.0 MB a checkpoint, of which up to 3 are kept",
    ]
    assert "matmul" not in "".join(dry_run.report(measured(mfu=None), train))


def test_a_dry_run_leaves_no_run(corpus, tmp_path):
    """float32 weights of 260 x 16 twice and a bias of 260; AdamW has two slots for each, and two counts."""
    recipe = tmp_path / "tiny.py"
    recipe.write_text(
        "from tests.tiny_experiments import tiny_experiment\n\n\n"
        f"def get_config():\n    return tiny_experiment('word2vec', {str(corpus)!r}, steps=5000)\n"
    )
    run_dir = tmp_path / "run"
    finished = run_program(
        "trainers.train", f"--config={recipe}", f"--run_dir={run_dir}", "--dry_run"
    )
    assert finished.code == 0, finished
    assert not run_dir.exists()
    assert "parameters: 8,580" in finished.out
    assert re.search(
        r"^time: .* for 5,000 steps of 64 tokens, with 1,667 validations", finished.out, re.M
    )
    assert re.search(r"^speed: [\d,]+ tokens/s", finished.out, re.M)
    for artifact in ("saved_model", "model_float32.tflite", "model_dynamic_int8.tflite"):
        assert re.search(rf"^  {artifact} +yes, \d+\.\d\d MB$", finished.out, re.M), finished.out


@pytest.fixture
def small(corpus, monkeypatch):
    """The measuring alone, without the exports, which have a process of their own."""
    asked = []

    def run(command, **kwargs):
        asked.append(command)
        return type("Finished", (), {"stdout": "", "stderr": "error: no way\n"})

    monkeypatch.setattr(dry_run.subprocess, "run", run)
    return tiny_experiment("word2vec", corpus, steps=5000, ema=0.9, precision="float32"), asked


def test_what_is_measured_is_the_training(small, capsys):
    experiment, asked = small
    result = dry_run.dry_run(experiment)
    assert result.weights == 4 * 8580
    # AdamW: two slots a weight, the step and the learning rate; the moving average is a third.
    assert 3 * result.weights <= result.slots <= 3 * result.weights + 64
    assert result.checkpoint > result.weights + result.slots
    assert result.tokens_per_step == 64
    assert result.first_step > result.step > 0
    assert result.where == "process"
    out = capsys.readouterr().out
    assert "error: no way" in out, "what the other process ended with is shown"
    run_dir = asked[0][-1].removeprefix("--run_dir=")
    assert not dry_run.Path(run_dir).exists()
