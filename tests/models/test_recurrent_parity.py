"""LSTM and GRU against Keras' own layers, and the RNN around them against a loop in numpy."""

import keras
import numpy as np
import pytest

from tests import zoo
from tflm import models
from tflm.errors import UserError
from tflm.layers.recurrent import Recurrent
from tflm.models.rnn import RNNConfig
from tflm.run import named_arrays

UNITS, WIDTH = 5, 3


def filled(layer, seed: int = 0):
    random = np.random.default_rng(seed)
    for variable in layer.variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    return layer


def weights_of(layer) -> dict:
    return {path.split("/", 1)[1]: value for path, value in named_arrays(layer.variables).items()}


@pytest.fixture
def inputs():
    return np.random.default_rng(1).normal(size=(2, 6, WIDTH)).astype("float32")


@pytest.fixture
def states():
    return list(np.random.default_rng(2).normal(size=(2, 2, UNITS)).astype("float32"))


def test_lstm_equals_keras(inputs, states):
    ours = Recurrent("lstm", UNITS, name="ours")
    ours.build((None, None, WIDTH))
    filled(ours)
    theirs = keras.layers.LSTM(UNITS, return_sequences=True, return_state=True)
    theirs.build((None, None, WIDTH))
    theirs.set_weights(
        [
            ours.input_projection.kernel,
            ours.cell.recurrent_kernel,
            ours.input_projection.bias,
        ]
    )
    output, after = ours(inputs, states)
    expected, hidden, cell = theirs(inputs, initial_state=states)
    np.testing.assert_allclose(np.array(output), np.array(expected), atol=1e-6)
    np.testing.assert_allclose(np.array(after[0]), np.array(hidden), atol=1e-6)
    np.testing.assert_allclose(np.array(after[1]), np.array(cell), atol=1e-6)


def test_gru_equals_keras(inputs, states):
    ours = Recurrent("gru", UNITS, name="ours")
    ours.build((None, None, WIDTH))
    filled(ours)
    theirs = keras.layers.GRU(UNITS, return_sequences=True, return_state=True, reset_after=True)
    theirs.build((None, None, WIDTH))
    biases = np.stack([np.array(ours.input_projection.bias), np.array(ours.cell.recurrent_bias)])
    theirs.set_weights([ours.input_projection.kernel, ours.cell.recurrent_kernel, biases])
    output, after = ours(inputs, states[:1])
    expected, hidden = theirs(inputs, initial_state=states[0])
    np.testing.assert_allclose(np.array(output), np.array(expected), atol=1e-6)
    np.testing.assert_allclose(np.array(after[0]), np.array(hidden), atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_one_step_equals_the_loop(cell, inputs, states):
    """A call with one token takes another way than the loop over many."""
    layer = Recurrent(cell, UNITS, name="layer")
    layer.build((None, None, WIDTH))
    filled(layer)
    states = states[: len(layer.cell.state_names)]
    whole, _ = layer(inputs, states)
    for t in range(inputs.shape[1]):
        output, states = layer(inputs[:, t : t + 1], states)
        np.testing.assert_allclose(np.array(output)[:, 0], np.array(whole)[:, t], atol=1e-6)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("tie", [True, False])
def test_the_whole_lstm_model_equals_numpy(tie):
    config = RNNConfig(
        vocabulary_size=11, num_layers=2, hidden_dim=6, embedding_dim=4, tie_embeddings=tie
    )
    model = models.build(config)
    zoo.spread(model, seed=3)
    token_ids = np.random.default_rng(0).integers(0, 11, (1, 7)).astype("int32")
    w = {
        k.removeprefix("rnn/"): v.astype("float64")
        for k, v in named_arrays(model.variables).items()
    }
    hidden, cell, expected = np.zeros((2, 6)), np.zeros((2, 6)), []
    for token in token_ids[0]:
        x = w["token_embedding/embeddings"][token]
        for layer in range(2):
            at = f"recurrent_{layer}"
            z = x @ w[f"{at}/input_projection/kernel"] + w[f"{at}/input_projection/bias"]
            z = z + hidden[layer] @ w[f"{at}/loop/cell/recurrent_kernel"]
            i, f, c, o = np.split(z, 4)
            cell[layer] = sigmoid(f) * cell[layer] + sigmoid(i) * np.tanh(c)
            hidden[layer] = x = sigmoid(o) * np.tanh(cell[layer])
        if tie:
            x = x @ w["narrow/kernel"]
            expected.append(x @ w["token_embedding/embeddings"].T + w["output_bias"])
        else:
            expected.append(x @ w["unembedding/kernel"] + w["unembedding/bias"])
    np.testing.assert_allclose(np.array(model(token_ids))[0], np.stack(expected), atol=2e-5)


def test_the_forget_gate_starts_open():
    """Jozefowicz et al. 2015: its bias is 1, the others' 0."""
    weights = named_arrays(models.build(zoo.ZOO["lstm"]).variables)
    units = zoo.ZOO["lstm"].hidden_dim
    bias = weights["rnn/recurrent_0/input_projection/bias"]
    expected = np.repeat([0.0, 1.0, 0.0, 0.0], units)
    np.testing.assert_array_equal(bias, expected)
    kernel = weights["rnn/recurrent_0/loop/cell/recurrent_kernel"]
    for gate in np.split(kernel, 4, axis=1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(units), atol=1e-5)


def test_unknown_cells_list_the_known_ones():
    with pytest.raises(UserError, match="Unknown cell 'lstn'. Choose one of: gru, lstm."):
        RNNConfig(cell="lstn")


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_the_gradient_in_training_is_that_of_the_lstm_of_keras(compiled):
    import tensorflow as tf

    time, batch, width, units = 7, 3, 5, 4
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(batch, time, width)), "float32")
    states = [tf.constant(random.normal(size=(batch, units)), "float32") for _ in range(2)]
    states = [tf.constant(random.normal(size=(batch, units)), "float32") for _ in range(2)]
    upstream = [random.normal(size=s).astype("float32") for s in [(batch, time, units)]]
    upstream += [random.normal(size=(batch, units)).astype("float32") for _ in range(2)]
    ours = Recurrent("lstm", units, name="ours")
    ours.build((batch, time, width))
    theirs = keras.layers.LSTM(units, return_sequences=True, return_state=True)
    theirs.build((batch, time, width))
    for variable in ours.trainable_variables:
        variable.assign(random.normal(size=variable.shape))
    projection = ours.input_projection
    theirs.set_weights([projection.kernel, ours.cell.recurrent_kernel, projection.bias])

    @tf.function(jit_compile=compiled)
    def gradients(of_ours: bool):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            if of_ours:
                outputs, last = ours(x, states, training=True)
                weights = [projection.kernel, ours.cell.recurrent_kernel, projection.bias]
            else:
                outputs, *last = theirs(x, initial_state=states, training=True)
                weights = theirs.trainable_variables
            pairs = zip([outputs, *last], upstream, strict=True)
            total = sum(tf.reduce_sum(value * factor) for value, factor in pairs)
        return total, tape.gradient(total, [x, *states, *(w.value for w in weights)])

    (total, found), (expected_total, expected) = gradients(True), gradients(False)
    np.testing.assert_allclose(total, expected_total, rtol=1e-5)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
