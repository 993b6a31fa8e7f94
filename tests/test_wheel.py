"""A wheel installed elsewhere, away from the checkout, trains and exports."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_an_installed_wheel_trains_and_exports(tmp_path, corpus):
    def run(*command):
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=tmp_path,  # where no folder of the checkout can be imported by accident
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    source = tmp_path / "source"  # a copy, so that building leaves nothing in the checkout
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    run("-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path / "wheel", source)
    wheel = next((tmp_path / "wheel").glob("tflm-*.whl"))
    run("-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path / "site", wheel)
    where = run("-c", "import tflm, trainers, export; print(tflm.__file__)")
    assert str(tmp_path / "site") in where
    run(
        *("-m", "trainers.train", "--config=gpt_small", f"--corpus={corpus}", "--run_dir=gpt"),
        *("--config.train.steps=4", "--config.train.eval_every=4", "--config.train.batch_size=4"),
        *("--config.tokenizer.vocabulary_size=300", "--config.model.hidden_dim=16"),
    )
    run("-m", "export.export_model", "--run_dir=gpt", "--format=tflite", "--quantize=none")
    assert (tmp_path / "gpt" / "export" / "model_float32.tflite").stat().st_size > 1000
