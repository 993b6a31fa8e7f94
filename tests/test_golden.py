"""Run folders that were written once must load for ever, compute the same, and go on training."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.golden import make
from tflm import run
from trainers import experiment as experiments
from trainers import fit

FOLDERS = sorted(path.parent.name for path in make.FOLDER.glob("*/experiment.json"))


def test_every_family_is_here():
    assert sorted(make.MODELS) == FOLDERS


@pytest.mark.parametrize("family", FOLDERS)
def test_it_loads_and_computes_the_same(family):
    folder = make.FOLDER / family
    loaded = run.load(folder)
    expected = np.array(json.loads((folder / "logits.json").read_text(encoding="utf-8")))
    assert expected.shape in ((2, 6, 13), (2, 6, 8))
    assert expected.std() > 1e-4
    logits = make.logits_of(loaded.model)
    np.testing.assert_allclose(logits, expected, atol=1e-3 * expected.std())
    assert loaded.step == 2
    assert loaded.tokenizer.encode("hé") == [108, 199, 173]


def stored_experiment(run_dir, **train):
    """What the folder says, with some of the training's fields changed."""
    experiment = experiments.from_dict(run.RunFolder(run_dir).read_experiment())
    experiment.train = dataclasses.replace(experiment.train, **train)
    return experiment


@pytest.mark.parametrize(
    "family",
    ["gru", "gpt", "skip_gram", "fasttext", "glove", "seq2seq_transformer", "seq2seq_lstm"],
)
def test_it_goes_on_training(family, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)  # the corpus is named from there
    shutil.copytree(make.FOLDER / family, tmp_path / "run")
    stored = run.RunFolder(tmp_path / "run").load_step(2)
    result = fit.train(stored_experiment(tmp_path / "run", steps=4), tmp_path / "run")
    assert result.progress.step == 4
    assert result.progress.tokens == 2 * stored.state["progress"]["tokens"]


def test_a_field_that_is_newer_than_the_run_has_its_default(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    shutil.copytree(make.FOLDER / "gru", tmp_path / "run")
    path = tmp_path / "run" / "experiment.json"
    values = json.loads(path.read_text())
    wanted = stored_experiment(tmp_path / "run")
    del values["train"]["ema"], values["model"]["dropout"], values["data"]["on_bad_file"]
    path.write_text(json.dumps(values))
    assert fit.train(wanted, tmp_path / "run").progress.step == 2


def test_nothing_of_the_machine_is_in_them():
    for path in make.FOLDER.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert str(ROOT).encode() not in data
            assert os.path.expanduser("~").encode() + b"/" not in data
            assert len(data) < 50_000
