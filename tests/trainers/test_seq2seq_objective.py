"""The objective seq2seq: its loss and its validation against numpy, its micro-batches against one batch."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from tests import zoo
from tests.tiny_pairs import NUM_PAIRS, pair_experiment, write_pairs
from tests.tiny_training import train_step, weights
from tflm import models
from tflm.data.parallel_store import parallel_split
from tflm.errors import UserError
from tflm.text import tokenizer as tokenizers
from tflm.text.tokenizer import TokenizerConfig
from trainers import experiment as experiments
from trainers import feed, objectives, optimizers
from trainers.experiment import TrainConfig
from trainers.objectives.seq2seq import Seq2SeqConfig
from trainers.train_step import TensorFlowTrainingModel

TRAIN = TrainConfig(batch_size=4, sequence_length=32, warmup_steps=0, schedule="constant")
BYTES = tokenizers.train(TokenizerConfig(kind="byte"), [])


def objective_of(**settings):
    objective = objectives.build(
        Seq2SeqConfig(**({"metric_pairs": 0, "max_target_tokens": 40} | settings))
    )
    objective.read_tokenizers(BYTES, BYTES)
    return objective


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    path = write_pairs(tmp_path_factory.mktemp("pairs"), "x", 23)
    return parallel_split(path, BYTES)


@pytest.fixture(scope="module")
def buckets(tmp_path_factory):
    """A split with batches of several shapes."""
    path = write_pairs(tmp_path_factory.mktemp("pairs"), "x", NUM_PAIRS)
    return parallel_split(path, BYTES)


def log_softmax(logits) -> np.ndarray:
    logits = np.array(ops.convert_to_numpy(logits), np.float64)
    highest = logits.max(axis=-1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True))


def model_and_logits(name: str):
    """A model, and its logits of a batch or of one pair."""
    model = zoo.build(name)
    if name in zoo.SEQ2SEQ_ZOO:
        return model, lambda batch: model(batch["token_ids"], batch["source_ids"])
    return model, lambda batch: model(batch["token_ids"])


@pytest.mark.parametrize("name", ["transformer_shared", "lstm_luong", "gpt_rotary"])
def test_the_loss_by_numpy(name, split):
    """-(1 - s) log p[label] - s mean log p, weighted."""
    model, logits = model_and_logits(name)
    objective = objective_of(label_smoothing=0.1)
    batch = objective.batches(split, model, TRAIN).batch(0)
    log_p = log_softmax(logits(batch))
    chosen = np.take_along_axis(log_p, batch["labels"][..., None], axis=-1)[..., 0]
    expected = -((0.9 * chosen + 0.1 * log_p.mean(axis=-1)) * batch["weights"]).sum()
    loss, carry = objective.loss(model, batch, {})
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert carry == {}


@pytest.mark.parametrize("name", ["transformer_shared", "gpt_rotary"])
def test_validation_scores_every_pair_once(name, split):
    """Each pair alone and without padding, through the model's logits."""
    model, logits = model_and_logits(name)
    objective = objective_of(label_smoothing=0.3)  # which is no part of the score
    nats, num_tokens = 0.0, 0
    for i in range(split.num_pairs):
        source, target = split.source(i).astype("int32"), split.target(i).astype("int32")
        read, wanted = target[:-1], target[1:]
        if name == "gpt_rotary":  # <s>, the source without its end, a line break, the target
            read = np.concatenate([[2], source[:-1], BYTES.encode("\n"), target[1:-1]])
        one = {"token_ids": read[None].astype("int32"), "source_ids": source[None]}
        log_p = log_softmax(logits(one))[0, -len(wanted) :]
        nats -= log_p[np.arange(len(wanted)), wanted].sum()
        num_tokens += len(wanted)
    score = objective.evaluator(model, TRAIN, BYTES)(split)
    assert score["nats_per_token"] == pytest.approx(nats / num_tokens, rel=1e-5)
    assert score["perplexity_per_token"] == pytest.approx(np.exp(nats / num_tokens), rel=1e-4)
    assert (score["num_tokens"], score["num_pairs"]) == (num_tokens, 23)


def tiny_training(split, accumulation: int):
    config = dataclasses.replace(TRAIN, optimizer="sgd", learning_rate=0.5, clip_norm=0.0)
    config = dataclasses.replace(config, weight_decay=0.0, accumulation=accumulation)
    objective, model = objective_of(), zoo.build("transformer_shared")
    source = objective.batches(split, model, config)
    training = TensorFlowTrainingModel(model, objective, config.batch_size, accumulation)
    optimizer = optimizers.build(config, model.trainable_variables, "float32")
    training.compile(optimizer=optimizer, jit_compile=False, auto_scale_loss=False)
    return training, source


def test_micro_batches_of_unequal_rows_are_the_batch(buckets):
    """Whatever the number of rows, even fewer than there should be parts."""
    (whole, source), (parts, again) = tiny_training(buckets, 1), tiny_training(buckets, 4)
    step = max(range(8), key=lambda step: len(source.batch(step)["labels"]))
    batch = source.batch(step)
    for name, value in again.batch(step).items():
        np.testing.assert_array_equal(value, batch[name], "batches do not know of micro-batches")
    assert len(batch["labels"]) > 4
    for rows in (len(batch["labels"]), 5, 3):
        some = {name: value[:rows] for name, value in batch.items()}
        assert train_step(whole, some)["loss"] == pytest.approx(
            train_step(parts, some)["loss"], rel=1e-5
        )
    moved = weights(whole)
    for path, value in weights(parts).items():
        np.testing.assert_allclose(value, moved[path], atol=1e-5)


def test_fit_over_several_shapes_is_step_by_step(buckets):
    """Keras' fit, with a program for each shape, against single steps."""
    (training, source), (single, _) = tiny_training(buckets, 1), tiny_training(buckets, 1)
    assert len(source.shapes) > 1
    training.shapes_vary = feed.shapes_vary(source)
    batches = feed.dataset(source, 0, 6)
    training.fit(batches, steps_per_epoch=6, epochs=1, shuffle=False, verbose=0)
    for step in range(6):
        train_step(single, source.batch(step))
    moved = weights(single)
    for path, value in weights(training).items():
        np.testing.assert_allclose(value, moved[path], atol=1e-5)


def test_what_cannot_be_is_one_line():
    with pytest.raises(UserError, match="`prompt_format` must hold {source} once.*'Translate: '"):
        Seq2SeqConfig(prompt_format="Translate: ")
    with pytest.raises(UserError, match="Unknown objective.metric 'meteor'.*bleu, rouge"):
        Seq2SeqConfig(metric="meteor")
    with pytest.raises(UserError, match="Unknown tokenizer of BLEU 'words'"):
        Seq2SeqConfig(metric_words="words")
    with pytest.raises(UserError, match="Unknown unit of ROUGE 'zh'"):
        Seq2SeqConfig(metric="rouge", metric_words="zh")
    with pytest.raises(UserError, match="`label_smoothing` must be from 0 to below 1"):
        Seq2SeqConfig(label_smoothing=1.0)


def test_lengths_follow_from_the_training(tmp_path):
    experiment = pair_experiment("transformer_shared", tmp_path)
    experiments.check(experiment)
    objective = experiment.objective
    assert (objective.max_source_tokens, objective.max_target_tokens) == (32, 32)
    experiment = pair_experiment("gpt_rotary", tmp_path)
    experiments.check(experiment)
    assert experiment.objective.max_source_tokens == 24, "one behind the other"
    experiment = pair_experiment("transformer_shared", tmp_path, {"max_source_tokens": 49})
    with pytest.raises(
        UserError, match="max_source_length` must be at least .*=48, max_source_tokens=49"
    ):
        experiments.check(experiment)


def test_one_vocabulary_where_there_is_no_encoder(tmp_path):
    own = {"source_tokenizer": TokenizerConfig(kind="word")}
    experiment = pair_experiment("gpt_rotary", tmp_path, own)
    with pytest.raises(UserError, match="gpt reads source and target with one vocabulary"):
        experiments.check(experiment)
    with pytest.raises(UserError, match="trains seq2seq_transformer, seq2seq_lstm, gpt"):
        objectives.check_fits(Seq2SeqConfig(), "rnn", TrainConfig())


def test_it_is_there_and_back(tmp_path):
    own = {"source_tokenizer": TokenizerConfig(kind="word", vocabulary_size=50)}
    experiment = pair_experiment("transformer_separate", tmp_path, own)
    values = experiments.to_dict(experiment)
    assert values["objective"]["source_tokenizer"]["vocabulary_size"] == 50
    assert experiments.from_dict(values) == experiment
    assert models.family_of(experiment.model) == "seq2seq_transformer"
