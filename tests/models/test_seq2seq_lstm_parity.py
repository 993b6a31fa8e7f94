"""The parts of Seq2SeqLSTM against Keras' own layers, and the whole against a loop in numpy after the papers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tflm.layers.bidirectional import Bidirectional
from tflm.layers.recurrent import Recurrent
from tflm.layers.source_attention import SourceAttention
from tflm.run import named_arrays

UNITS = 6
NAMES = ("lstm_luong", "lstm_input_feeding", "lstm_bahdanau")
MASK = np.array([[True] * 7, [True] * 3 + [False] * 4])


def filled(layer, seed: int = 0):
    random = np.random.default_rng(seed)
    for variable in layer.variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    return layer


def both_bidirectional():
    """Ours, and Keras' with the same weights."""
    ours = Bidirectional(UNITS, name="ours")
    ours.build((None, None, 3))
    filled(ours)
    theirs = keras.layers.Bidirectional(
        keras.layers.LSTM(UNITS, return_sequences=True, return_state=True)
    )
    theirs.build((None, None, 3))
    weights = []
    for layer in (ours.ahead, ours.back):
        projection = layer.input_projection
        weights += [projection.kernel, layer.cell.recurrent_kernel, projection.bias]
    theirs.set_weights(weights)
    return ours, theirs


@pytest.mark.parametrize("training", [False, True])
def test_both_directions_equal_keras_under_a_mask(training):
    ours, theirs = both_bidirectional()
    x = np.random.default_rng(1).normal(size=(2, 7, 3)).astype("float32")
    output, hidden, cell = (np.array(value) for value in ours(x, MASK, training=training))
    expected, *states = (np.array(value) for value in theirs(x, mask=MASK))
    np.testing.assert_allclose(output[MASK], expected[MASK], atol=1e-6)
    np.testing.assert_allclose(hidden, np.concatenate(states[0::2], axis=-1), atol=1e-6)
    np.testing.assert_allclose(cell, np.concatenate(states[1::2], axis=-1), atol=1e-6)


def test_the_gradient_under_a_mask_is_that_of_keras():
    ours, theirs = both_bidirectional()
    random = np.random.default_rng(1)
    x = tf.constant(random.normal(size=(2, 7, 3)), "float32")
    factors = random.normal(size=(2, 7, 2 * UNITS)) * MASK[..., None]
    of_states = random.normal(size=(2, 2, 2 * UNITS)).astype("float32")
    factors = factors.astype("float32")

    def gradients(variables, function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output, hidden, cell = function()
            total = tf.reduce_sum(output * factors)
            total += tf.reduce_sum(of_states[0] * hidden) + tf.reduce_sum(of_states[1] * cell)
        return [np.array(g) for g in tape.gradient(total, [x, *(v.value for v in variables)])]

    def of_keras():
        output, *states = theirs(x, mask=MASK)
        return output, tf.concat(states[0::2], -1), tf.concat(states[1::2], -1)

    mine = []
    for layer in (ours.ahead, ours.back):
        projection = layer.input_projection
        mine += [projection.kernel, layer.cell.recurrent_kernel, projection.bias]
    found = gradients(mine, lambda: ours(x, MASK, training=True))
    expected = gradients(theirs.trainable_variables, of_keras)
    assert (found[0][~MASK] == 0).all()
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_step_that_is_not_visible_leaves_the_cell_bit_by_bit(cell):
    layer = Recurrent(cell, UNITS, name="layer")
    layer.build((None, None, 3))
    filled(layer)
    random = np.random.default_rng(3)
    x = random.normal(size=(2, 5, 3)).astype("float32")
    states = list(random.normal(size=(len(layer.cell.state_names), 2, UNITS)).astype("float32"))
    for training in (False, True):
        _, after = layer(x, states, visible=np.zeros((2, 5), bool), training=training)
        np.testing.assert_array_equal(np.array(after[-1]), states[-1])


def test_luong_equals_keras_attention():
    ours = filled(built_attention("luong"))
    random = np.random.default_rng(2)
    queries, source = (random.normal(size=(2, n, UNITS)).astype("float32") for n in (4, 7))
    keys = np.array(ours.read(source))
    np.testing.assert_allclose(keys, source @ np.array(ours.key.kernel), atol=1e-6)
    expected, shares = keras.layers.Attention()(
        [queries, source, keys], mask=[None, MASK], return_attention_scores=True
    )
    weights = np.array(ours.attention_weights(queries, keys, MASK))
    np.testing.assert_allclose(weights, np.array(shares), atol=1e-6)
    averages = np.array(ours(queries, keys, source, MASK))
    np.testing.assert_allclose(averages, np.array(expected), atol=1e-6)


def test_bahdanau_equals_keras_additive_attention():
    ours = filled(built_attention("bahdanau"))
    random = np.random.default_rng(2)
    queries, source = (random.normal(size=(2, n, UNITS)).astype("float32") for n in (4, 7))
    keys = np.array(ours.read(source))
    np.testing.assert_allclose(
        keys, source @ np.array(ours.key.kernel) + np.array(ours.key.bias), atol=1e-6
    )
    theirs = keras.layers.AdditiveAttention(use_scale=True)
    asked = queries @ np.array(ours.query.kernel)
    theirs.build([asked.shape, source.shape, keys.shape])
    theirs.set_weights([np.array(ours.score.kernel)[:, 0]])
    expected, shares = theirs(
        [asked, source, keys], mask=[None, MASK], return_attention_scores=True
    )
    weights = np.array(ours.attention_weights(queries, keys, MASK))
    np.testing.assert_allclose(weights, np.array(shares), atol=1e-6)
    averages = np.array(ours(queries, keys, source, MASK))
    np.testing.assert_allclose(averages, np.array(expected), atol=1e-6)


def built_attention(score: str):
    layer = SourceAttention(score, UNITS, name="attention")
    layer.build(None)
    return layer


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class NumpyTranslator:
    """One sentence, one step, one layer at a time, in float64."""

    def __init__(self, config, weights: dict):
        self.config = config
        self.weights = {
            path.removeprefix("seq2seq_lstm/"): value.astype("float64")
            for path, value in weights.items()
        }

    def product(self, name, x):
        y = x @ self.weights[f"{name}/kernel"]
        return y + self.weights[f"{name}/bias"] if f"{name}/bias" in self.weights else y

    def lstm(self, name, preactivations, hidden, cell):
        z = preactivations + hidden @ self.weights[f"{name}/loop/cell/recurrent_kernel"]
        i, f, c, o = np.split(z, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        return sigmoid(o) * np.tanh(cell), cell

    def direction(self, name, inputs):
        units = self.config.hidden_dim // 2
        hidden, cell, outputs = np.zeros(units), np.zeros(units), []
        for x in inputs:
            hidden, cell = self.lstm(
                name, self.product(f"{name}/input_projection", x), hidden, cell
            )
            outputs.append(hidden)
        return outputs, hidden, cell

    def read(self, source_ids):
        """The source (S, U), and hidden and cell of every layer of the encoder."""
        table = self.weights.get(
            "source_embedding/embeddings", self.weights["token_embedding/embeddings"]
        )
        x, states = [table[i] for i in source_ids], []
        for i in range(self.config.num_encoder_layers or self.config.num_layers):
            ahead, *ends = self.direction(f"encoder_{i}/recurrent_ahead", x)
            back, *other_ends = self.direction(f"encoder_{i}/recurrent_back", x[::-1])
            x = [np.concatenate(pair) for pair in zip(ahead, back[::-1], strict=True)]
            states.append([np.concatenate(pair) for pair in zip(ends, other_ends, strict=True)])
        return np.stack(x), states

    def ask(self, query, source):
        """The average of the source, and its weights."""
        name = "decoder/attention"
        if self.config.attention == "luong":  # equation 8
            scores = [query @ self.product(f"{name}/key", s) for s in source]
        else:  # section A.1.2
            asked = self.product(f"{name}/query", query)
            scores = [
                self.product(f"{name}/score", np.tanh(asked + self.product(f"{name}/key", s)))[0]
                for s in source
            ]
        weights = np.exp(scores) / np.exp(scores).sum()
        return weights @ source, weights

    def logits(self, token_ids, source_ids):
        """(T, V), and where each step looked, (T, S)."""
        config, name = self.config, "decoder"
        source, last = self.read(source_ids)
        below = len(last) - config.num_layers
        states = [last[max(i + below, 0)] for i in range(config.num_layers)]
        table = self.weights["token_embedding/embeddings"]
        output = self.weights["unembedding"] if config.share_embeddings == "none" else table
        attentional = np.zeros(config.embedding_dim)
        logits, looked = [], []
        for token in token_ids:
            z = self.product(f"{name}/recurrent_0/input_projection", table[token])
            if config.attention == "bahdanau":
                average, weights = self.ask(states[-1][0], source)
                z = z + self.product(f"{name}/feed", average)
            elif config.input_feeding:
                z = z + self.product(f"{name}/feed", attentional)
            for i in range(config.num_layers):
                if i:
                    z = self.product(f"{name}/recurrent_{i}/input_projection", states[i - 1][0])
                states[i] = self.lstm(f"{name}/recurrent_{i}", z, *states[i])
            hidden = states[-1][0]
            if config.attention == "luong":
                average, weights = self.ask(hidden, source)
            attentional = np.tanh(
                self.product(f"{name}/combine", np.concatenate([average, hidden]))
            )
            logits.append(output @ attentional)
            looked.append(weights)
        return np.stack(logits), np.stack(looked)


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_model_equals_numpy(name):
    model = zoo.build(name, seed=1)
    theirs = NumpyTranslator(zoo.SEQ2SEQ_ZOO[name], named_arrays(model.variables))
    token_ids = np.random.default_rng(2).integers(0, 260, (2, 6)).astype("int32")
    lengths = (7, 3)
    source_ids = zoo.source_ids(lengths)
    logits = np.array(model(token_ids, source_ids))
    maps = np.array(model.source_attention(token_ids, source_ids))
    for row, length in enumerate(lengths):
        expected, looked = theirs.logits(token_ids[row], source_ids[row, :length])
        assert expected.std() > 0.3
        np.testing.assert_allclose(logits[row], expected, atol=3e-5)
        np.testing.assert_allclose(maps[row, :, :length], looked, atol=1e-5)
