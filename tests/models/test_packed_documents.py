"""Several documents in a row: each has the logits, the loss and the score it has alone."""

import dataclasses

import numpy as np
import pytest

from tests import zoo
from tests.tiny_experiments import tiny_experiment
from tests.tiny_training import tiny_training, token_split, train_step, weights
from tflm import models
from tflm.data.windows import PackedWindows, ShuffledWindows
from tflm.errors import UserError
from tflm.metrics.rolling import RollingScorer
from trainers import experiment as experiments
from trainers.objectives.causal import CausalConfig

BOS, EOS = 2, 3
LENGTHS = (5, 1, 9, 7)


def documents() -> list[np.ndarray]:
    """bos, tokens, eos; 30 tokens in all."""
    random = np.random.default_rng(0)
    tokens = [random.integers(4, 200, length) for length in LENGTHS]
    return [np.array([BOS, *ids, EOS], "int32") for ids in tokens]


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", ["gpt_rotary", "gpt_learned"])
def test_a_document_in_a_packed_row_has_the_logits_it_has_alone(name, recompute):
    model = models.build(dataclasses.replace(zoo.ZOO[name], recompute=recompute))
    zoo.spread(model)
    row = np.concatenate(documents())[None]
    batch = np.concatenate([row, row[:, ::-1]])  # the other row has other documents, all inside out
    segments = np.cumsum(batch == BOS, axis=1, dtype="int32")
    hidden = model.hidden(batch, training=recompute, segment_ids=segments)[0]
    logits = np.array(model.logits(hidden))
    start = 0
    for document in documents():
        alone = np.array(model(document[None]))[0]
        packed = logits[0, start : start + len(document)]
        np.testing.assert_allclose(packed, alone, atol=2e-5)
        start += len(document)
    assert np.abs(logits[0] - np.array(model(batch))[0]).max() > 0.1, "they would see each other"


def test_packed_windows_are_the_plain_ones_and_number_their_documents():
    tokens = np.concatenate(documents() * 5)
    split = token_split(tokens, num_documents=20)
    plain, packed = (kind(split, 16, 4, seed=1) for kind in (ShuffledWindows, PackedWindows))
    for step in range(12):
        batch = packed.batch(step)
        for key, value in plain.batch(step).items():
            np.testing.assert_array_equal(batch[key], value)
        assert batch["segment_ids"].dtype == np.int32
        for ids, segments in zip(batch["token_ids"], batch["segment_ids"], strict=True):
            number = 0
            for token, segment in zip(ids, segments, strict=True):
                number += token == BOS
                assert segment == number
        assert batch["weights"].sum() == pytest.approx(1)


def test_the_loss_of_a_packed_batch_is_that_of_its_documents():
    training, _ = tiny_training("gpt_rotary", objective=CausalConfig(pack_documents=True))
    zoo.spread(training.model)
    pieces, row = documents(), np.concatenate(documents())
    labels = np.append(row[1:], BOS)
    counted = (labels != BOS).astype("float32")
    batch = {"token_ids": np.tile(row, (4, 1)), "labels": np.tile(labels, (4, 1))}
    batch["weights"] = np.tile(counted / counted.sum() / 4, (4, 1))
    batch["segment_ids"] = np.cumsum(batch["token_ids"] == BOS, axis=1, dtype="int32")
    nats = 0.0
    for document in pieces:
        logits = np.array(training.model(document[None, :-1]), "float64")[0]
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        nats -= log_p[np.arange(len(document) - 1), document[1:]].sum()
    before = weights(training)
    loss = train_step(training, batch)["loss"]
    assert loss == pytest.approx(nats / counted.sum(), rel=1e-5)
    assert any((weights(training)[path] != value).any() for path, value in before.items())


def test_the_score_of_a_text_is_that_of_its_documents():
    model = zoo.build("gpt_rotary")
    pieces = documents()
    apart = RollingScorer(model, 40, 2, BOS, apart=True)
    nats, count = apart.score(np.concatenate(pieces))
    alone = [RollingScorer(model, 40, 1, BOS).score(document) for document in pieces]
    assert count == sum(number for _, number in alone)
    assert nats == pytest.approx(sum(value for value, _ in alone), rel=1e-5)


def test_a_model_without_attention_is_refused(corpus):
    experiment = tiny_experiment("lstm", corpus)
    experiment.objective = CausalConfig(pack_documents=True)
    with pytest.raises(
        UserError, match="pack_documents needs a model of gpt, which can be kept fr"
    ):
        experiments.check(experiment)
