"""Pre-training of an encoder, by masked words and by contrast: the losses in numpy, and trainings seen from outside."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from tests.data.test_masking import WordPieces, rows_of_words
from tests.tiny_training import token_split
from tests.trainers.test_classify import files, tiny  # noqa: F401 (a fixture)
from tflm import models, run
from tflm.data.corpora import DataConfig
from tflm.errors import UserError
from tflm.models.bert import BERTConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers import experiment as experiments
from trainers import fit, objectives
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.contrastive import ContrastiveConfig, halves_of
from trainers.objectives.masked import MaskedConfig
from trainers.run_differences import differences_of

BERT = BERTConfig(num_layers=1, num_heads=2, hidden_dim=16, max_sequence_length=32, dropout=0.1)
WORDS = ["red", "green", "blue", "fast", "slow", "lorry", "bicycle", "tram"]


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor), "float64")


def log_softmax(x) -> np.ndarray:
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("next_sentence", [False, True])
def test_the_loss_of_masked_words(next_sentence):
    config = dataclasses.replace(BERT, vocabulary_size=WordPieces().vocabulary_size, dropout=0.0)
    model = models.build(config)
    objective = objectives.build(MaskedConfig(next_sentence=next_sentence))
    objective.read_tokenizers(WordPieces(), WordPieces())
    split = token_split(rows_of_words(20, 40).reshape(-1))
    train = TrainConfig(batch_size=4, sequence_length=24)
    batch = objective.batches(split, model, train).batch(3)
    tensors = {name: ops.convert_to_tensor(value) for name, value in batch.items()}
    found = float(objective.loss(model, tensors, {})[0])
    sequence = model(batch["token_ids"], batch.get("segment_ids"))["sequence"]
    logits = log_softmax(numbers(model.logits(model.predictions(sequence))))
    expected, weight = 0.0, 1 / (batch["weights"] > 0).sum()
    for row, places in enumerate(batch["masked_positions"]):
        for place, label, counts in zip(
            places, batch["labels"][row], batch["weights"][row] > 0, strict=True
        ):
            expected -= weight * counts * logits[row, place, label]
    if next_sentence:
        pairs = log_softmax(numbers(model.next_sentence(sequence)))
        expected -= pairs[np.arange(4), batch["is_elsewhere"]].mean()
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_loss_of_contrast():
    model = models.build(dataclasses.replace(BERT, vocabulary_size=85, dropout=0.0))
    objective = objectives.build(ContrastiveConfig(temperature=0.1))
    token_ids = rows_of_words(3, 12)
    mask = np.arange(12)[None, :] < np.array([[12], [9], [5]])
    batch = {"token_ids": token_ids, "padding_mask": mask, "weights": np.full(3, 1 / 3, "float32")}
    tensors = {name: ops.convert_to_tensor(value) for name, value in batch.items()}
    found = float(objective.loss(model, tensors, {})[0])
    sequence = numbers(model(token_ids, padding_mask=mask)["sequence"])
    vectors = np.stack([s[m].mean(axis=0) for s, m in zip(sequence, mask, strict=True)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Without dropout both readings of a text are one.
    expected = -np.diagonal(log_softmax(vectors @ vectors.T / 0.1)).mean()
    assert found == pytest.approx(expected, abs=1e-5)


def test_halves_are_framed():
    batch = {
        "token_ids": np.array([[2, 10, 11, 12, 3], [2, 13, 3, 0, 0]], "int32"),
        "padding_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool),
    }
    halves = halves_of(batch, WordPieces())
    assert halves["ids_a"].tolist() == [[2, 10, 11, 3], [2, 13, 3, 0]]
    assert halves["ids_b"].tolist() == [[2, 12, 3, 0], [2, 3, 0, 0]]
    assert halves["mask_b"].tolist() == [[True, True, True, False], [True, True, False, False]]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = [" ".join(random.choice(WORDS, 12)) + f" {i}\n" for i in range(400)]
    path.write_text("".join(lines))
    return path


def experiment(text, objective, **train) -> Experiment:
    settings = {
        "steps": 8,
        "batch_size": 8,
        "sequence_length": 24,
        "learning_rate": 3e-3,
        "warmup_steps": 2,
        "eval_every": 4,
        "log_every": 1,
        "sample_tokens": 0,
        "jit_compile": "off",
    }
    return Experiment(
        model=dataclasses.replace(BERT),
        objective=objective,
        tokenizer=TokenizerConfig(kind="wordpiece", vocabulary_size=120),
        data=DataConfig(corpus=str(text), documents="line", workers=1),
        train=TrainConfig(**(settings | train)),
    )


@pytest.mark.parametrize("objective", [MaskedConfig(), ContrastiveConfig()])
def test_it_goes_on_as_if_it_had_not_been_stopped(objective, text, tmp_path):
    fit.train(experiment(text, objective), tmp_path / "straight")
    fit.train(experiment(text, objective), tmp_path / "broken", until=4)
    fit.train(experiment(text, objective), tmp_path / "broken")
    assert differences_of(tmp_path / "straight", tmp_path / "broken") == []


def test_it_learns_and_a_classifier_stands_on_it(text, files, tmp_path):  # noqa: F811
    from trainers.evaluation import results

    fit.train(experiment(text, MaskedConfig(), steps=120, eval_every=60), tmp_path / "bert")
    result = results.evaluate(tmp_path / "bert", "test")
    assert result["nats_per_masked_token"] < 0.75 * np.log(120)
    assert any("masked words found" in line for line in results.lines_of(result))
    classifier = tiny(files, BERT, steps=2, eval_every=2)
    classifier.train.init_from, classifier.train.sequence_length = str(tmp_path / "bert"), 32
    fit.train(classifier, tmp_path / "labels")
    loaded = run.load(tmp_path / "labels")
    assert loaded.tokenizer.kind == "wordpiece"
    assert loaded.model.config.encoder == run.load(tmp_path / "bert").model.config


def test_a_folder_of_transformers_is_fine_tuned(text, tmp_path, capsys):
    golden = Path(__file__).parent.parent / "golden" / "huggingface" / "bert"
    folder = tmp_path / "published"
    shutil.copytree(golden, folder)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    pieces += [f"[unused{i}]" for i in range(41 - len(pieces))]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    tuned = experiment(text, MaskedConfig(), steps=1, eval_every=1, sequence_length=16)
    tuned.train.init_from, tuned.train.learning_rate = str(folder), 1e-9
    fit.train(tuned, tmp_path / "tuned")
    assert f"The bert begins with the weights of {folder}." in capsys.readouterr().out
    loaded, answers = run.load(tmp_path / "tuned"), np.load(golden / "answers.npz")
    inputs = [answers[name] for name in ("token_ids", "segment_ids", "padding_mask")]
    logits = numbers(
        loaded.model.logits(loaded.model.predictions(loaded.model(*inputs)["sequence"]))
    )
    is_token = answers["padding_mask"]
    np.testing.assert_allclose(logits[is_token], answers["logits"][is_token], atol=1e-4)
    assert (
        json.loads((tmp_path / "tuned" / "experiment.json").read_text())["model"]["num_layers"] == 2
    )


@pytest.mark.parametrize(
    ("objective", "change", "message"),
    [
        (MaskedConfig(), {"sequence_length": 4}, "masked needs train.sequence_length=8 at least"),
        (ContrastiveConfig(), {"accumulation": 2}, "train.accumulation must be 1. Received: 2"),
    ],
)
def test_what_cannot_be(objective, change, message, text):
    with pytest.raises(UserError, match=message):
        experiments.check(experiment(text, objective, **change))
    changed = experiment(text, ContrastiveConfig())
    changed.model.dropout = 0.0
    with pytest.raises(UserError, match="model.dropout must be above 0"):
        experiments.check(changed)
