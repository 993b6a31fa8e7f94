"""Cross-entropy against numpy in float64: in one piece, in chunks, its gradients, and what is never held."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tests.graphs import nodes_of
from tflm import models
from tflm.metrics import cross_entropy as module
from tflm.metrics.cross_entropy import cross_entropy, loss, scores

OPTIONS = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.2},
    "z": {"z_loss": 0.03},
    "both": {"label_smoothing": 0.1, "z_loss": 0.01},
}
BATCH, TIME = 3, 7  # 21 positions: no chunking of them is even


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of two positions of the zoo's vocabulary."""
    monkeypatch.setattr(module, "CHUNK_LOGITS", 2 * zoo.VOCABULARY_SIZE)


def numpy_losses(logits, labels, label_smoothing=0.0, z_loss=0.0) -> np.ndarray:
    """sum_i q_i (log Z - logit_i) + z log^2 Z, position by position."""
    losses = np.zeros(labels.shape)
    for place in np.ndindex(*labels.shape):
        row = logits[place].astype("float64")
        log_z = row.max() + math.log(np.exp(row - row.max()).sum())
        q = np.full(len(row), label_smoothing / len(row))
        q[labels[place]] += 1 - label_smoothing
        losses[place] = (q * (log_z - row)).sum() + z_loss * log_z**2
    return losses


def numpy_slopes(logits, labels, label_smoothing=0.0, z_loss=0.0) -> np.ndarray:
    """d loss / d logits: p - q, and 2 z log Z p."""
    slopes = np.zeros(logits.shape)
    for place in np.ndindex(*labels.shape):
        row = logits[place].astype("float64")
        log_z = row.max() + math.log(np.exp(row - row.max()).sum())
        p = np.exp(row - log_z)
        q = np.full(len(row), label_smoothing / len(row))
        q[labels[place]] += 1 - label_smoothing
        slopes[place] = p - q + 2 * z_loss * log_z * p
    return slopes


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(0)
    ids, labels = random.integers(4, zoo.VOCABULARY_SIZE, (2, BATCH, TIME)).astype("int32")
    weights = random.uniform(0, 2 / (BATCH * TIME), (BATCH, TIME)).astype("float32")
    weights[1, 2:] = 0
    return ids, labels, weights


@pytest.mark.parametrize("name", OPTIONS)
def test_every_position_equals_numpy(name):
    random = np.random.default_rng(0)
    logits = random.normal(0, 30, (2, 5, 9)).astype("float32")
    logits[0, 0, 3] = 1e4  # must not overflow
    labels = random.integers(0, 9, (2, 5)).astype("int32")
    losses = np.array(cross_entropy(logits, labels, **OPTIONS[name]))
    expected = numpy_losses(logits, labels, **OPTIONS[name])
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "name", "jit_compile"),
    [
        ("gru", "both", False),
        ("lstm", "both", True),
        ("gpt_rotary", "plain", False),
        ("gpt_learned", "smoothed", True),
        ("word2vec", "z", False),
    ],
)
def test_chunks_have_the_loss_and_the_gradients_of_numpy(family, name, jit_compile, batch):
    """Tied and not, with a bias and without: the gradients to the hidden states, the table and the bias."""
    ids, labels, weights = batch
    model = zoo.build(family)
    hidden = model.hidden(ids)[0]
    options = OPTIONS[name]

    @tf.function(jit_compile=jit_compile)
    def differentiate(hidden):
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            total = loss(model, hidden, labels, weights, **options) * 3.0
        variables = [v.value for v in model.trainable_variables]
        return total, tape.gradient(total, [hidden, *variables])

    total, gradients = differentiate(hidden)
    logits = np.array(model.logits(hidden))
    losses = numpy_losses(logits, labels, **options)
    assert float(total) == pytest.approx(3 * (losses * weights).sum(), rel=1e-5)

    slopes = 3 * numpy_slopes(logits, labels, **options) * weights[..., None]
    table, bias = (None if x is None else np.array(x, "float64") for x in model.output_table())
    hidden = np.array(hidden, "float64")
    expected = {"hidden": slopes @ table}
    d_table = np.einsum("btv,btd->vd", slopes, hidden)
    found = {"hidden": gradients[0]}
    for variable, gradient in zip(model.trainable_variables, gradients[1:], strict=True):
        if gradient is None:
            continue
        path = variable.path.split("/", 1)[1]
        found[path] = tf.convert_to_tensor(gradient)
        if len(variable.shape) == 1:
            expected[path] = slopes.sum((0, 1))
        else:
            expected[path] = d_table.T if "kernel" in path else d_table
    assert set(found) == set(expected)
    assert len(found) == 2 + (bias is not None)
    for path, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(np.array(found[path]), value, atol=1e-5 * scale, err_msg=path)


@pytest.mark.parametrize("family", zoo.ZOO)
def test_scores_in_chunks_are_those_of_the_logits(family, batch):
    ids, labels, _ = batch
    model = zoo.build(family)
    expected = numpy_losses(np.array(model(ids)), labels)
    np.testing.assert_allclose(
        np.array(scores(model, model.hidden(ids)[0], labels)), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_has_nearly_the_gradients_of_numpy(precision, batch):
    """Also of a large batch, whose weights are too small for float16."""
    ids, labels, weights = batch
    model = zoo.build("lstm", precision=precision)
    hidden, scale = model.hidden(ids)[0], np.float32(1e-5)
    with tf.GradientTape() as tape:
        total = loss(model, hidden, labels, weights * scale)
    found = np.array(tf.convert_to_tensor(tape.gradient(total, model.output_bias.value)))
    logits = np.array(model.logits(hidden))
    slopes = numpy_slopes(logits, labels) * weights[..., None] * scale
    expected = slopes.sum((0, 1))
    np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


def tensors(graph) -> list[tuple[str, int]]:
    """Name and number of elements of all that a graph and the functions it calls compute."""
    sizes = []
    for node in nodes_of(graph.as_graph_def(add_shapes=True)):
        for shape in node.attr["_output_shapes"].list.shape:
            sizes.append((node.name, math.prod(max(d.size, 0) for d in shape.dim)))
    return sizes


@pytest.mark.parametrize("family", ["word2vec", "gpt_rotary"])
def test_no_tensor_has_the_logits_of_the_batch(family, monkeypatch):
    """In the graph of the training loss, its gradient and of the score; in one piece it has them."""
    config = dataclasses.replace(zoo.ZOO[family], vocabulary_size=1000)
    model = models.build(config)
    ids = tf.zeros((8, 32), "int32")
    weights = tf.ones((8, 32)) / 256
    variables = [v.value for v in model.trainable_variables]

    def both(ids):
        with tf.GradientTape() as tape:
            hidden = model.hidden(ids, training=True)[0]
            total = loss(model, hidden, ids, weights, z_loss=1e-4)
        return tape.gradient(total, variables), scores(model, hidden, ids)

    largest = {}
    for chunk in (16 * 1000, 2**25):
        monkeypatch.setattr(module, "CHUNK_LOGITS", chunk)
        graph = tf.function(both).get_concrete_function(ids).graph
        largest[chunk] = max(size for _, size in tensors(graph))
    assert largest[2**25] == 8 * 32 * 1000
    assert largest[16 * 1000] < 8 * 32 * 1000 / 3
