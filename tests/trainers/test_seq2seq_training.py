"""Trainings on pairs of texts: what they leave in the run folder, and that they go on exactly."""

import json
import re

import numpy as np
import pytest
import sacrebleu

from tests.tiny_pairs import pair_experiment
from tests.trainers.test_training_resume import assert_same
from tflm import run as runs
from tflm.errors import UserError
from tflm.run import RunFolder
from tflm.text.tokenizer import TokenizerConfig
from trainers import fit

# Everything that has a state: dropout, micro-batches, a moving average.
SETTINGS = {"ema": 0.8, "accumulation": 2, "steps": 8, "keep_checkpoints": 9}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("lstm_luong", "gpt_rotary")]


@pytest.mark.parametrize("name", ["transformer_shared", *SLOW])
def test_half_and_half_is_the_whole(name, tmp_path):
    """Trained to step 6 of 8 and on, and straight, with batches of several shapes: all of it bit for bit."""
    model = {"dropout": 0.3}
    if name != "lstm_luong":  # which drops between its layers, too
        model["num_layers"] = 1

    def train(place):
        fit.train(pair_experiment(name, tmp_path, model=model, **SETTINGS), tmp_path / place)

    train("straight")
    train("broken")
    last = RunFolder(tmp_path / "broken").checkpoints / "step_00000008"
    (last / "model.safetensors").write_bytes(b"")
    train("broken")
    assert_same(tmp_path / "straight", tmp_path / "broken")
    ends = RunFolder(tmp_path / "straight")
    first, end = ends.load_step(3), ends.load_latest()
    assert set(end.model) == {k for k in end.model if (end.model[k] != first.model[k]).any()}
    assert end.state["metrics"]["nats_per_token"] < first.state["metrics"]["nats_per_token"]


def test_it_is_trained_on_one_device(tmp_path):
    experiment = pair_experiment("transformer_shared", tmp_path)
    with pytest.raises(UserError, match="seq2seq has batches of more and of fewer rows, on one"):
        fit.train(experiment, tmp_path / "run", distribute="mirrored")


@pytest.mark.slow
def test_what_is_fastest_is_measured_on_the_commonest_shape(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trainers.compilation.FEWEST_STEPS", 1)
    experiment = pair_experiment("transformer_shared", tmp_path, steps=3, jit_compile="auto")
    fit.train(experiment, tmp_path / "run")
    assert re.search(r"Measured: float32 with XLA \d+ ms a step;", capsys.readouterr().out)
    assert RunFolder(tmp_path / "run").read_experiment()["train"]["jit_compile"] in ("on", "off")


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    """A run with two tokenizers that translates at its validations."""
    folder = tmp_path_factory.mktemp("translated")
    experiment = pair_experiment(
        "transformer_separate",
        folder,
        {"source_tokenizer": TokenizerConfig(kind="word"), "metric_pairs": 5},
        steps=8,
        eval_every=4,
        sample_tokens=8,
    )
    fit.train(experiment, folder / "run")
    return folder / "run"


def lines_of(run_dir, kind: str) -> list[dict]:
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


def test_validation_translates(translated):
    """Its BLEU is sacrebleu's of what it writes: read back from the samples, which are the first of the pairs."""
    first, last = lines_of(translated, "validation")
    assert last["nats_per_token"] < first["nats_per_token"]
    assert re.fullmatch(r"nrefs:1\|.*tok:13a.*", last["bleu_signature"])
    assert 0 <= last["bleu"] <= 100
    assert last["chrf"] > 0
    samples = [line for line in lines_of(translated, "sample") if line["step"] == 8]
    assert len(samples) == 3
    texts = translated.parent.joinpath("val.de").read_text().splitlines()
    assert [sample["source"] for sample in samples] == texts[:3]
    references = translated.parent.joinpath("val.en").read_text().splitlines()
    assert [sample["reference"] for sample in samples] == references[:3]
    score = sacrebleu.corpus_chrf([s["text"] for s in samples], [references[:3]]).score
    assert score > 0


def test_samples_and_maps_are_on_the_tensorboard_page(translated):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(
        str(translated / "tensorboard" / "validation"), {"tensors": 0, "images": 0}
    )
    events.Reload()
    tags = events.Tags()
    assert {"eval/bleu", "eval/nats_per_token", "samples/1"} <= set(tags["tensors"])
    assert "attention/1" in tags["images"]
    image = events.Images("attention/1")[0]
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert (image.width, image.height) > (50, 20)


def test_the_source_has_its_own_tokenizer(translated):
    run = runs.load(translated)
    assert run.is_sequence_to_sequence
    assert not run.is_language_model
    assert (run.source_tokenizer.kind, run.tokenizer.kind) == ("word", "byte")
    assert run.source_tokenizer.vocabulary_size == 4 + 5, "five words of German, none of English"
    model = run.experiment["model"]
    assert model["source_vocabulary_size"] == 9
    split = run.open_store().split("test")
    text = translated.parent.joinpath("test.de").read_text().splitlines()[0]
    assert run.source_tokenizer.decode(split.source(0)) == text
    mean = runs.load(translated, average=2)
    both = [runs.load(translated, step=step).model for step in (4, 8)]
    for one, *others in zip(mean.model.variables, *(m.variables for m in both), strict=True):
        if "seed_generator" in one.path:
            continue
        expected = np.mean([np.array(v.numpy(), "float64") for v in others], axis=0)
        np.testing.assert_allclose(np.array(one.numpy()), expected, rtol=1e-5, atol=1e-7)
