"""The regularisation of AWD-LSTM: what is dropped, how long a mask lasts, and that evaluation knows nothing of it.

Masks are read off by calling the layer that draws them once more, with the random state that it had.
"""

import contextlib

import numpy as np
import pytest
from keras import ops

from tests import zoo
from tflm import models
from tflm.errors import UserError
from tflm.layers.dropout import Dropout, WordDropout
from tflm.layers.recurrent import Recurrent
from tflm.models.rnn import RNNConfig

SIZES = {"vocabulary_size": 50, "num_layers": 3, "hidden_dim": 12}
RATES = {
    "input_dropout": 0.3,
    "hidden_dropout": 0.2,
    "output_dropout": 0.4,
    "word_dropout": 0.1,
    "weight_dropout": 0.5,
}
IDS = np.random.default_rng(0).integers(0, 50, (4, 7)).astype("int32")


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


@contextlib.contextmanager
def replayed(dropout):
    """Inside, the layer draws what it drew in its last call."""
    state = dropout.seed_generator.state
    after = numbers(state.value)
    state.assign(after - np.array([0, 1], after.dtype))  # the second number counts the draws
    yield
    np.testing.assert_array_equal(numbers(state.value), after)


def test_a_mask_is_constant_over_time_and_differs_between_rows():
    ones = np.ones((16, 9, 40), "float32")
    locked = Dropout(0.25, "locked", shared_axes=(1,))
    mask = numbers(locked(ones, training=True))
    assert set(np.unique(mask)) == {0, np.float32(1 / 0.75)}
    np.testing.assert_array_equal(mask, np.repeat(mask[:, :1], 9, axis=1))
    assert len(np.unique(mask[:, 0], axis=0)) == 16
    assert (mask == 0).mean() == pytest.approx(0.25, abs=0.06)  # 640 draws: three deviations
    assert (numbers(locked(ones, training=True)) != mask).any(), "the next call draws anew"
    free = numbers(Dropout(0.25, "free")(ones, training=True))
    assert (free != free[:, :1]).any(), "Zaremba et al. draw anew at every step"
    np.testing.assert_array_equal(numbers(locked(ones, training=False)), ones)


def test_a_word_is_dropped_with_all_its_occurrences():
    token_ids = np.random.default_rng(1).integers(0, 1000, (8, 500)).astype("int32")
    layer = WordDropout(0.2, 1000, "words")
    ones = np.ones((8, 500, 3), "float32")
    kept = numbers(layer(ones, token_ids, training=True))
    assert set(np.unique(kept)) == {0, np.float32(1 / 0.8)}
    share = []
    for token in np.unique(token_ids):
        values = kept[token_ids == token]
        assert (values == values.flat[0]).all()
        share.append(values.flat[0] == 0)
    assert np.mean(share) == pytest.approx(0.2, abs=0.04)
    np.testing.assert_array_equal(numbers(layer(ones, token_ids)), ones)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, kernel, bias, recurrent, hidden, cell):
    outputs = []
    for t in range(x.shape[1]):
        z = x[:, t] @ kernel + bias + hidden @ recurrent
        i, f, c, o = np.split(z, 4, axis=-1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


def gru(x, kernel, bias, recurrent, hidden, recurrent_bias):
    outputs = []
    for t in range(x.shape[1]):
        inputs, inner = x[:, t] @ kernel + bias, hidden @ recurrent + recurrent_bias
        (ux, rx, cx), (uh, rh, ch) = np.split(inputs, 3, axis=-1), np.split(inner, 3, axis=-1)
        update = sigmoid(ux + uh)
        hidden = update * hidden + (1 - update) * np.tanh(cx + sigmoid(rx + rh) * ch)
        outputs.append(hidden)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_weight_drop_is_one_mask_on_the_recurrent_kernel(cell):
    random = np.random.default_rng(2)
    layer = Recurrent(cell, 8, "layer", weight_dropout=0.5)
    layer.build((None, None, 5))
    for variable in layer.trainable_variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    x = random.normal(size=(3, 6, 5)).astype("float32")
    states = list(random.normal(size=(2, 3, 8)).astype("float32"))[: len(layer.cell.state_names)]
    output, _ = layer(x, states, training=True)

    raw = numbers(layer.cell.recurrent_kernel)
    with replayed(layer.weight_dropout):
        recurrent = numbers(layer.weight_dropout(raw, training=True))
    kept = recurrent != 0
    assert 0.3 < kept.mean() < 0.7
    np.testing.assert_allclose(recurrent[kept], 2 * raw[kept], rtol=1e-6)
    kernel = numbers(layer.input_projection.kernel)
    bias = numbers(layer.input_projection.bias)
    if cell == "lstm":
        expected = lstm(x, kernel, bias, recurrent, *states)
        plain = lstm(x, kernel, bias, raw, *states)
    else:
        recurrent_bias = numbers(layer.cell.recurrent_bias)
        expected = gru(x, kernel, bias, recurrent, *states, recurrent_bias)
        plain = gru(x, kernel, bias, raw, *states, recurrent_bias)
    np.testing.assert_allclose(numbers(output), expected, atol=1e-5)
    assert np.abs(plain - expected).max() > 1e-2
    np.testing.assert_allclose(numbers(layer(x, states)[0]), plain, atol=1e-5)


def test_weight_drop_leaves_the_gradient_of_dropped_connections_at_zero():
    import tensorflow as tf

    for cell in ("lstm", "gru"):
        layer = Recurrent(cell, 8, "layer", weight_dropout=0.5)
        layer.build((None, None, 5))
        for variable in layer.trainable_variables:
            variable.assign(np.random.default_rng(3).normal(0, 0.5, variable.shape))
        x = np.random.default_rng(4).normal(size=(3, 6, 5)).astype("float32")
        states = [np.ones((3, 8), "float32")] * len(layer.cell.state_names)
        with tf.GradientTape() as tape:
            loss = ops.sum(ops.square(layer(x, states, training=True)[0]))
        gradient = numbers(tape.gradient(loss, layer.cell.recurrent_kernel.value))
        with replayed(layer.weight_dropout):
            raw = numbers(layer.cell.recurrent_kernel)
            kept = numbers(layer.weight_dropout(raw, training=True)) != 0
        np.testing.assert_array_equal(gradient[~kept], 0)
        assert (gradient[kept] != 0).all()


def built(**fields):
    model = models.build(RNNConfig(**(SIZES | fields)), seed=1)
    zoo.spread(model, seed=2)
    return model


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_rates_of_zero_are_the_plain_model_bit_for_bit(cell):
    zero = dict.fromkeys(RATES, 0.0)
    plain, regularized = built(cell=cell), built(cell=cell, variational_dropout=True, **zero)
    assert [v.path for v in plain.variables] == [v.path for v in regularized.variables]
    for training in (False, True):
        expected = numbers(plain(IDS, training=training))
        assert numbers(regularized(IDS, training=training)).tobytes() == expected.tobytes()


def test_every_layer_is_built_whether_it_is_called_or_not():
    """Under JAX, Keras' `fit` wants to build what is not, and cannot."""
    for fields in (RATES, {"num_layers": 1, **RATES}, {"dropout": 0.1}, {}):
        assert [layer.name for layer in built(**fields)._flatten_layers() if not layer.built] == []


@pytest.mark.parametrize("variational", [True, False])
def test_one_rate_for_all_is_three_rates(variational):
    """With a rate of its own a place has a generator of its own; the masks have the same shares of zeros."""
    model = built(dropout=0.5, variational_dropout=variational)
    assert model.input_dropout is model.hidden_dropout is model.output_dropout is model.dropout
    one_by_one = built(**RATES, variational_dropout=variational)
    rates = [
        layer.rate
        for layer in (
            one_by_one.input_dropout,
            one_by_one.hidden_dropout,
            one_by_one.output_dropout,
            one_by_one.word_dropout,
            *(layer.weight_dropout for layer in one_by_one.layers_over_time),
        )
    ]
    assert rates == [0.3, 0.2, 0.4, 0.1, 0.5, 0.5, 0.5]
    assert {v.path for v in one_by_one.variables if "seed_generator" in v.path} == {
        f"rnn/{place}/seed_generator/seed_generator_state"
        for place in (
            *("input_dropout", "hidden_dropout", "output_dropout", "word_dropout"),
            *(f"recurrent_{i}/weight_dropout" for i in range(3)),
        )
    }


def test_what_the_last_layer_says_is_given_before_and_after_its_dropout():
    model = built(**RATES, variational_dropout=True)
    raw, output, _ = model.activations(IDS, training=True)
    raw, output = numbers(raw), numbers(output)
    kept = output != 0
    np.testing.assert_allclose(output[kept], raw[kept] / 0.6, rtol=1e-5)
    np.testing.assert_array_equal(kept, np.repeat(kept[:, :1], IDS.shape[1], axis=1))
    assert 0.3 < kept.mean() < 0.9
    raw, output, _ = model.activations(IDS, training=False)
    np.testing.assert_array_equal(numbers(raw), numbers(output))


def test_evaluation_and_steps_use_no_mask():
    """The regularised model is the plain one there, and its steps are its full forward pass."""
    sizes = {"last_hidden_dim": 8, "embedding_dim": 8}
    plain, regularized = built(**sizes), built(**sizes, **RATES, variational_dropout=True)
    for variable, value in zip(
        regularized.trainable_variables, plain.trainable_variables, strict=True
    ):
        variable.assign(value)
    whole = numbers(plain(IDS))
    np.testing.assert_array_equal(numbers(regularized(IDS)), whole)
    state, parts = regularized.initial_state(4), []
    for first, last in ((0, 3), (3, 4), (4, 7)):
        logits, state = regularized.step(IDS[:, first:last], state, first)
        parts.append(numbers(logits))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    assert np.abs(numbers(regularized(IDS, training=True)) - whole).max() > 0.1


def test_the_last_layer_may_have_the_width_of_the_embedding():
    """AWD-LSTM: 400, 1150, 1150, 400."""
    model = built(embedding_dim=8, last_hidden_dim=8)
    assert model.narrow is None, "nothing lies between the last layer and the tied output"
    kernels = [tuple(layer.cell.recurrent_kernel.shape) for layer in model.layers_over_time]
    assert kernels == [(12, 48), (12, 48), (8, 32)]
    state = {name: tuple(value.shape) for name, value in model.initial_state(4).items()}
    assert state == {
        **{f"{name}_{i}": (4, 12) for i in range(2) for name in ("hidden", "cell")},
        **{f"{name}_2": (4, 8) for name in ("hidden", "cell")},
    }


@pytest.mark.parametrize("name", ["dropout", *RATES])
def test_rates_are_shares(name):
    with pytest.raises(UserError, match=f"`{name}` must be from 0 to below 1. Received: 1.0."):
        RNNConfig(**{name: 1.0})
