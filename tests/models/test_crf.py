"""The CRF against the sum over all sequences, written out, and a forward algorithm in numpy."""

import importlib.util
import itertools
import json

import keras
import numpy as np
import pytest
from keras import ops

from tests.programs import run_python
from tflm.backend import compiled
from tflm.layers.crf import CRF

LENGTHS = [4, 1, 3, 0]
NUM_LABELS = 3


def numbers():
    """(emissions, labels, mask, transitions, first, last), all random; rows of LENGTHS words."""
    random = np.random.default_rng(3)
    emissions = random.normal(0, 2, (len(LENGTHS), 4, NUM_LABELS)).astype("float32")
    labels = random.integers(0, NUM_LABELS, (len(LENGTHS), 4)).astype("int32")
    mask = np.arange(4)[None, :] < np.array(LENGTHS)[:, None]
    shapes = (NUM_LABELS, NUM_LABELS), (NUM_LABELS,), (NUM_LABELS,)
    weights = [random.normal(0, 2, shape).astype("float32") for shape in shapes]
    return emissions, labels, mask, *weights


def layer(transitions, first, last):
    crf = CRF(len(first))
    crf.build((None, None, len(first)))
    for variable, value in ((crf.transitions, transitions), (crf.first, first), (crf.last, last)):
        variable.assign(value)
    return crf


def score(emissions, labels, transitions, first, last) -> float:
    """Of a sequence (n, L), (n,), as the definition has it."""
    total = float(first[labels[0]]) + float(last[labels[-1]])
    total += sum(float(row[label]) for row, label in zip(emissions, labels, strict=True))
    return total + sum(float(transitions[a, b]) for a, b in itertools.pairwise(labels))


def all_scores(emissions, *weights) -> dict[tuple, float]:
    every = itertools.product(range(NUM_LABELS), repeat=len(emissions))
    return {labels: score(emissions, labels, *weights) for labels in every}


def test_likelihoods_are_those_of_all_sequences():
    emissions, labels, mask, *weights = numbers()
    found = layer(*weights).log_likelihood(emissions, labels, mask)
    for row, (length, value) in enumerate(zip(LENGTHS, np.array(found), strict=True)):
        if not length:
            assert value == 0
            continue
        scores = all_scores(emissions[row, :length], *weights)
        total = np.log(np.sum(np.exp(list(scores.values()))))
        assert value == pytest.approx(scores[tuple(labels[row, :length])] - total, abs=1e-4)


@pytest.mark.parametrize("is_compiled", [False, True])
def test_the_best_sequence_is_the_best_of_all(is_compiled):
    emissions, _, mask, *weights = numbers()
    crf = layer(*weights)
    decode = compiled(crf, crf.decode) if is_compiled else crf.decode
    found = np.array(decode(ops.convert_to_tensor(emissions), ops.convert_to_tensor(mask)))
    assert found.dtype == np.int32
    for row, length in enumerate(LENGTHS):
        assert not found[row, length:].any()
        if length:
            scores = all_scores(emissions[row, :length], *weights)
            assert tuple(found[row, :length]) == max(scores, key=scores.get)


def test_a_long_sequence_by_the_forward_algorithm_in_numpy():
    random = np.random.default_rng(0)
    length, size = 60, 7
    emissions = random.normal(0, 3, (1, length, size))
    labels = random.integers(0, size, (1, length))
    transitions, first, last = (random.normal(size=shape) for shape in ((size, size), size, size))
    forward = first + emissions[0, 0]
    for row in emissions[0, 1:]:
        paths = forward[:, None] + transitions
        forward = paths.max(axis=0) + np.log(np.exp(paths - paths.max(axis=0)).sum(axis=0)) + row
    end = forward + last
    total = end.max() + np.log(np.exp(end - end.max()).sum())
    expected = score(emissions[0], labels[0], transitions, first, last) - total
    crf = layer(*(w.astype("float32") for w in (transitions, first, last)))
    mask = np.ones((1, length), bool)
    found = crf.log_likelihood(emissions.astype("float32"), labels.astype("int32"), mask)
    assert float(found[0]) == pytest.approx(expected, rel=1e-5)


def expected_gradients() -> dict[str, np.ndarray]:
    """Of the sum of the log-likelihoods: what is there, less what is expected of all sequences."""
    emissions, labels, _, *weights = numbers()
    gradients = {
        "emissions": np.zeros(emissions.shape),
        "transitions": np.zeros((NUM_LABELS, NUM_LABELS)),
        "first_bias": np.zeros(NUM_LABELS),
        "last_bias": np.zeros(NUM_LABELS),
    }

    def count(row, sequence, weight):
        gradients["first_bias"][sequence[0]] += weight
        gradients["last_bias"][sequence[-1]] += weight
        for place, label in enumerate(sequence):
            gradients["emissions"][row, place, label] += weight
        for a, b in itertools.pairwise(sequence):
            gradients["transitions"][a, b] += weight

    for row, length in enumerate(LENGTHS):
        if length:
            scores = all_scores(emissions[row, :length], *weights)
            shares = np.exp(np.array(list(scores.values())))
            shares /= shares.sum()
            count(row, labels[row, :length].tolist(), 1)
            for sequence, share in zip(scores, shares, strict=True):
                count(row, sequence, -share)
    return gradients


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_are_expectations(jit_compile):
    import tensorflow as tf

    emissions, labels, mask, *weights = numbers()
    crf = layer(*weights)

    @tf.function(jit_compile=jit_compile)
    def gradients(emissions):
        variables = [crf.transitions.value, crf.first.value, crf.last.value]
        with tf.GradientTape() as tape:
            tape.watch(emissions)
            total = tf.reduce_sum(crf.log_likelihood(emissions, labels, mask))
        return tape.gradient(total, [emissions, *variables])

    found = gradients(tf.constant(emissions))
    for (name, expected), value in zip(expected_gradients().items(), found, strict=True):
        np.testing.assert_allclose(np.array(value), expected, atol=1e-4, err_msg=name)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_it_is_the_same_under_jax(tmp_path):
    (tmp_path / "request.json").write_text(json.dumps({"tag": True}))
    finished = run_python("tests/jax_side.py", tmp_path, env={"KERAS_BACKEND": "jax"})
    assert finished.returncode == 0, finished.stderr
    found = np.load(tmp_path / "logits.npz")
    for name, expected in expected_gradients().items():
        np.testing.assert_allclose(found[f"tag {name}"], expected, atol=1e-4, err_msg=name)
    emissions, _, mask, *weights = numbers()
    np.testing.assert_array_equal(found["tag best"], layer(*weights).decode(emissions, mask))
