"""NT-ASGD against a loop in numpy, and AR and TAR against their formulas."""

import numpy as np
import pytest

from tests import zoo
from tests.tiny_training import tiny_training, train_step, weights
from tflm.errors import UserError
from trainers import averaging, objectives
from trainers.averaging import begin_when_stalled, has_stalled
from trainers.callbacks import Progress, TrainingState
from trainers.experiment import TrainConfig
from trainers.objectives.activation_regularization import (
    activation_regularization,
    temporal_activation_regularization,
)
from trainers.objectives.causal import CausalConfig


def authors_trigger(scores, nonmono) -> int | None:
    """The loop of the authors' main.py over the epochs: the one in which it switches to ASGD."""
    best_val_loss = []
    for epoch, val_loss in enumerate(scores):
        if len(best_val_loss) > nonmono and val_loss > min(best_val_loss[:-nonmono]):
            return epoch
        best_val_loss.append(val_loss)
    return None


@pytest.mark.parametrize("interval", [1, 2, 5])
def test_averaging_begins_where_the_authors_program_begins(interval):
    random = np.random.default_rng(interval)
    begun = []
    for _ in range(200):
        scores = (np.exp(-np.arange(14) / 4) + random.normal(0, 0.1, 14)).tolist()
        first = (e for e in range(14) if has_stalled(scores[: e + 1], interval))
        begun.append(next(first, None))
        assert begun[-1] == authors_trigger(scores, interval)
    assert len(set(begun)) > 3
    assert None in begun or interval < 5


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_averaged_sgd_is_the_mean_of_the_weights_since_it_began(precision):
    settings = {"optimizer": "sgd", "weight_decay": 0.0, "clip_norm": 0.25, "learning_rate": 2.0}
    training, source = tiny_training("lstm", average_after=1, precision=precision, **settings)
    plain, _ = tiny_training("lstm", precision=precision, **settings)
    state = TrainingState(training, Progress())
    scores, begun, history = [], [], []
    for step, score in enumerate([3.0, 2.0, 1.0, 2.5, 9.0, 2.4, 2.3, 2.2]):
        train_step(training, source.batch(step))
        train_step(plain, source.batch(step))
        history.append(weights(training))
        with state.averaged():
            inside = weights(training)
        # 2.5 is worse than 2.0: the mean is of the weights after step 4 and later.
        since = history[4:] or history[-1:]
        for path, value in history[-1].items():
            np.testing.assert_array_equal(
                value, weights(plain)[path], err_msg="SGD goes on as it was"
            )
            expected = np.mean([w[path].astype("float64") for w in since], axis=0)
            np.testing.assert_allclose(inside[path], expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(weights(training)[path], value)
            if len(since) == 1:
                np.testing.assert_array_equal(inside[path], value)
        scores.append(score)
        if begin_when_stalled(training.optimizer, scores, 1):
            begun.append(step)
    assert begun == [3], "it begins once"


def test_where_the_averaging_began_is_in_the_checkpoint():
    settings = {"optimizer": "sgd", "weight_decay": 0.0, "average_after": 2}
    training, source = tiny_training("lstm", **settings)
    for step in range(3):
        train_step(training, source.batch(step))
    assert begin_when_stalled(training.optimizer, [1.0, 2.0, 2.0, 3.0], 2)
    checkpoint = TrainingState(training, Progress(step=3, scores=[1.0, 2.0])).to_checkpoint({})
    assert int(checkpoint.training["sgd/first_averaged_step"]) == 3
    other, _ = tiny_training("lstm", **settings)
    progress = Progress()
    TrainingState(other, progress).restore(checkpoint, "x")
    assert progress.scores == [1.0, 2.0]
    assert other.optimizer.mean_since_start.has_begun
    for step in (3, 4):
        for one in (training, other):
            train_step(one, source.batch(step))
    for path, average in averaging.averaged_weights(training.optimizer).items():
        same = averaging.averaged_weights(other.optimizer)[path]
        np.testing.assert_array_equal(np.array(same.value), np.array(average.value))


def test_two_averages_are_refused():
    message = "`train.ema` and `train.average_after` are two averages of the same weights; set one"
    with pytest.raises(UserError, match=message):
        TrainConfig(ema=0.9, average_after=5).check()


def test_activation_regularization_is_the_mean_square():
    random = np.random.default_rng(0)
    raw, output = random.normal(size=(2, 4, 5, 6)).astype("float32")
    even = np.full((4, 5), 1 / 20, "float32")
    assert float(activation_regularization(output, even)) == pytest.approx((output**2).mean())
    changes = raw[:, 1:] - raw[:, :-1]
    expected = (changes**2).mean()
    assert float(temporal_activation_regularization(raw, even)) == pytest.approx(expected)
    # Rows without weight say nothing.
    rows = even * np.array([2, 0, 2, 0], "float32")[:, None]
    assert float(activation_regularization(output, rows)) == pytest.approx(
        (output[::2] ** 2).mean()
    )
    expected = (changes[::2] ** 2).mean()
    assert float(temporal_activation_regularization(raw, rows)) == pytest.approx(expected)
    assert float(temporal_activation_regularization(raw[:, :1], even[:, :1])) == 0


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_objective_adds_both(accumulation):
    objective = CausalConfig(activation_regularization=2.0, temporal_activation_regularization=3.0)
    regularized, source = tiny_training("lstm", objective=objective, accumulation=accumulation)
    plain, _ = tiny_training("lstm")
    zoo.spread(regularized.model)
    zoo.spread(plain.model)
    batch = source.batch(0)
    raw = np.array(plain.model.activations(batch["token_ids"])[0])
    added = 2 * (raw**2).mean() + 3 * ((raw[:, 1:] - raw[:, :-1]) ** 2).mean()
    loss, plain_loss = (train_step(t, batch)["loss"] for t in (regularized, plain))
    assert added > 0.03
    assert loss - plain_loss == pytest.approx(added, rel=1e-4)


def test_it_is_for_recurrent_models_and_its_loss_is_no_likelihood():
    config = CausalConfig(activation_regularization=1.0)
    assert not objectives.build(config).loss_is_nats
    message = (
        "regularizes activations of models of rnn only. Received: a model of gpt; set objective"
    )
    with pytest.raises(UserError, match=message):
        objectives.check_fits(config, "gpt", TrainConfig())
    objectives.check_fits(config, "rnn", TrainConfig())
