"""The arithmetic of an update against plain formulas: schedules, decay, clipping, averages, losses."""

import math

import numpy as np
import pytest

from tests import zoo
from tests.tiny_training import tiny_training, token_split, train_step, weights
from tflm.errors import UserError
from trainers import callbacks, fit, optimizers
from trainers.callbacks import Progress, TrainingState
from trainers.experiment import TrainConfig
from trainers.objectives.causal import CausalConfig
from trainers.schedules import WarmupSchedule


def rate(kind: str, step: int, warmup: int = 10, steps: int = 110, final: float = 0.1) -> float:
    return float(WarmupSchedule(kind, 2.0, warmup, steps, final)(step))


@pytest.mark.parametrize(
    ("kind", "step", "expected"),
    [
        # Warm-up: the first update has a tenth of the peak, the tenth all of it.
        ("cosine", 0, 0.2),
        ("linear", 4, 1.0),
        ("constant", 9, 2.0),
        ("inverse_sqrt", 9, 2.0),
        ("cosine", 10, 2.0),
        ("cosine", 60, 2.0 * (0.1 + 0.9 * 0.5)),  # half way: cos(pi / 2) = 0
        ("cosine", 35, 2.0 * (0.1 + 0.9 * 0.5 * (1 + math.sqrt(0.5)))),  # a quarter: cos(pi / 4)
        ("cosine", 110, 0.2),
        ("cosine", 999, 0.2),
        ("linear", 60, 2.0 * 0.55),
        ("linear", 110, 0.2),
        ("constant", 77, 2.0),
        ("inverse_sqrt", 40, 1.0),  # sqrt(10 / 40)
        ("inverse_sqrt", 90, 2.0 / 3),
    ],
)
def test_schedules(kind, step, expected):
    assert rate(kind, step) == pytest.approx(expected, rel=1e-6)


def test_no_warmup_starts_at_the_peak():
    assert rate("linear", 0, warmup=0, steps=100) == pytest.approx(2.0)
    assert rate("inverse_sqrt", 4, warmup=0) == pytest.approx(1.0)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UserError, match="train.schedule 'cosin'. Choose one of: constant, cosine"):
        optimizers.learning_rate(TrainConfig(schedule="cosin"))
    with pytest.raises(
        UserError, match="train.optimizer 'adam'. Choose one of: adagrad, adamw, lion, muon, sgd"
    ):
        optimizers.build(TrainConfig(optimizer="adam"), [], "float32")


@pytest.mark.parametrize("name", ["lstm", "gru", "gpt_learned"])
def test_decay_acts_on_matrices_only(name):
    """Without a gradient AdamW only decays: w <- w - rate * decay * w."""
    training, source = tiny_training(name, learning_rate=0.1, weight_decay=0.5, clip_norm=0.0)
    zoo.spread(training.model)
    before = weights(training)
    batch = source.batch(0)
    train_step(training, batch | {"weights": np.zeros_like(batch["weights"])})
    after = weights(training)
    assert {value.ndim for value in before.values()} == {1, 2}
    for path, value in before.items():
        expected = value * (0.95 if value.ndim == 2 else 1.0)
        np.testing.assert_allclose(after[path], expected, rtol=1e-5, err_msg=path)


@pytest.mark.parametrize("clip_norm", [0.0, 1e-3, 1e6])
def test_clipping_limits_the_global_norm(clip_norm):
    plain = {"optimizer": "sgd", "weight_decay": 0.0, "learning_rate": 1.0}
    changes, norms = [], []
    for norm in (0.0, clip_norm):
        training, source = tiny_training("gpt_rotary", clip_norm=norm, **plain)
        before = weights(training)
        norms.append(train_step(training, source.batch(0))["grad_norm"])
        after = weights(training)
        changes.append(np.concatenate([(before[p] - after[p]).ravel() for p in before]))
    free, clipped = changes
    length = np.linalg.norm(free)
    assert norms == pytest.approx([length, length], rel=1e-3)  # what is logged is before clipping
    expected = free * min(1, clip_norm / length) if clip_norm else free
    np.testing.assert_allclose(clipped, expected, atol=2e-3 * np.abs(expected).max())


def test_adamw_is_the_formula_of_the_paper():
    """Loshchilov and Hutter 2019, algorithm 2, over three steps of one matrix."""
    training, source = tiny_training(
        "word2vec",
        learning_rate=0.01,
        beta_1=0.8,
        beta_2=0.9,
        weight_decay=0.3,
        clip_norm=0.0,
    )
    path = "word2vec/output_embedding"
    plain = {"optimizer": "sgd", "weight_decay": 0.0, "clip_norm": 0.0, "learning_rate": 1.0}
    shadow, _ = tiny_training("word2vec", **plain)
    w = weights(training)[path].astype("float64")
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step in range(1, 4):
        # The gradient at the same weights, out of one plain step of another copy.
        for variable, value in zip(
            shadow.model.trainable_variables, weights(training).values(), strict=True
        ):
            variable.assign(value)
        before = weights(shadow)[path].astype("float64")
        train_step(shadow, source.batch(step - 1))
        g = before - weights(shadow)[path]
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        w = w - 0.01 * 0.3 * w
        # Kingma and Ba 2015, section 2, last lines: Keras' epsilon is their epsilon hat.
        alpha = 0.01 * np.sqrt(1 - 0.9**step) / (1 - 0.8**step)
        w = w - alpha * m / (np.sqrt(v) + 1e-7)
        train_step(training, source.batch(step - 1))
    error = np.abs(weights(training)[path] - w)
    assert np.median(error) < 1e-5
    assert np.abs(weights(training)[path] - before).max() > 1e-3


def test_the_moving_average_is_what_is_saved_and_evaluated():
    training, source = tiny_training("word2vec", ema=0.6, learning_rate=0.05)
    history = []
    for step in range(4):
        train_step(training, source.batch(step))
        history.append(weights(training))
    expected = dict(history[0])  # the first average is the first weights
    for entry in history[1:]:
        expected = {p: 0.6 * expected[p] + 0.4 * entry[p] for p in expected}
    state = TrainingState(training, Progress(step=4))
    with state.averaged():
        inside = weights(training)
    after = weights(training)
    checkpoint = state.to_checkpoint({"x": 1.0})
    for path, average in expected.items():
        np.testing.assert_allclose(inside[path], average, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(after[path], history[-1][path])
        np.testing.assert_array_equal(checkpoint.model[path], inside[path])
        np.testing.assert_array_equal(checkpoint.training["raw/" + path], after[path])
    other, _ = tiny_training("word2vec", ema=0.6, learning_rate=0.05)
    TrainingState(other, Progress()).restore(checkpoint, "x")
    for path, value in weights(other).items():
        np.testing.assert_array_equal(value, history[-1][path])


def test_without_an_average_the_weights_are_saved():
    training, source = tiny_training("word2vec")
    train_step(training, source.batch(0))
    checkpoint = TrainingState(training, Progress()).to_checkpoint({})
    assert not [path for path in checkpoint.training if path.startswith("raw/")]
    for path, value in weights(training).items():
        np.testing.assert_array_equal(checkpoint.model[path], value)


def test_label_smoothing_is_cross_entropy_to_the_smoothed_target():
    """Szegedy et al. 2016, section 7: q = (1 - s) one-hot + s / V, in float64."""
    smoothing = 0.2
    training, source = tiny_training("gpt_rotary", objective=CausalConfig(label_smoothing=0.2))
    zoo.spread(training.model)
    batch = source.batch(0)
    logits = np.array(training.model(batch["token_ids"]), "float64")
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    target = np.full(log_p.shape, smoothing / log_p.shape[-1])
    rows, columns = np.indices(batch["labels"].shape)
    target[rows, columns, batch["labels"]] += 1 - smoothing
    expected = (-(target * log_p).sum(-1) * batch["weights"]).sum()
    assert train_step(training, batch)["loss"] == pytest.approx(expected, rel=1e-5)


def test_slices_cover_every_step_once_and_end_where_validation_is_due():
    for every in (1, 2, 3, 5, 7):
        for end in range(1, 18):
            for start in range(end):
                step = start
                for first, last, steps in fit.slices(start, end, every):
                    assert last > first
                    for epoch in range(first, last):
                        assert step // every == epoch, "the epoch is the slice of the steps"
                        step += steps
                        assert step % every == 0 or step == end
                        assert step <= (epoch + 1) * every
                assert step == end, (start, end, every)
    assert list(fit.slices(8, 8, 3)) == []


def test_bits_per_nat_counts_predicted_tokens():
    split = token_split(np.full(1000, 5), num_bytes=900, num_documents=100)
    # 1000 tokens of which 100 are BOS; at 2 nats each of the 900 costs 2 / ln 2 bits, for 900 bytes.
    assert 2 * callbacks.bits_per_nat(split) == pytest.approx(2 / math.log(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "`train.steps` must be at least 1. Received: 0."),
        ({"batch_size": 6, "accumulation": 4}, "`train.accumulation` must divide `train.batch_siz"),
        ({"ema": 1.0}, "`train.ema` must be from 0 to below 1. Received: 1.0."),
        ({"learning_rate": 0.0}, "`train.learning_rate` must be positive. Received: 0.0."),
        ({"learning_rate": math.nan}, "`train.learning_rate` must be positive. Received: nan."),
        ({"clip_norm": -1.0}, "`train.clip_norm` must be at least 0. Received: -1.0."),
        ({"clip_norm": math.nan}, "`train.clip_norm` must be at least 0. Received: nan."),
        ({"seed": -1}, "`train.seed` must be from 0 to below"),
        ({"precision": "half"}, "train.precision 'half'. Choose one of: auto, float32, mixed_b"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**change).check()
