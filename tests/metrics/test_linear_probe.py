"""The probe against a loop over texts with a numerical gradient, and figures by hand."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from tflm.errors import UserError
from tflm.metrics.linear_probe import fit, mean_vectors, probe_score


def test_mean_vectors_by_hand():
    table = np.array([[9, 9], [1, 2], [3, 6], [0, 4]], "float32")
    known = np.array([False, True, True, True])
    means, counts = mean_vectors([[1, 2, 0], [3], [], [0, 0], [1, 1, 2]], table, known)
    expected = [[2, 4], [0, 4], [0, 0], [0, 0], [5 / 3, 10 / 3]]
    np.testing.assert_allclose(means, expected, rtol=1e-6)
    assert counts.tolist() == [2, 1, 0, 0, 3]


def test_the_fit_finds_the_minimum_of_the_loss():
    random = np.random.default_rng(2)
    features = random.normal(size=(30, 2)) * [5, 0.1] + [3, -2]
    labels = [str(int(x)) for x in (features[:, 0] + 4 * random.normal(size=30)) // 6 + 1]
    assert len(set(labels)) > 2
    model = fit(features, labels, strength=0.7)
    names = sorted(set(labels))
    standardised = (features - features.mean(0)) / features.std(0)

    def loss(parameters):
        parameters = parameters.reshape(3, len(names))
        total = 0.35 * sum(w**2 for w in parameters[:2].ravel())
        for x, label in zip(standardised, labels, strict=True):
            logits = [x @ parameters[:2, k] + parameters[2, k] for k in range(len(names))]
            total += math.log(sum(map(math.exp, logits))) - logits[names.index(label)]
        return total

    found = minimize(loss, np.zeros(3 * len(names)), method="BFGS").x.reshape(3, -1)
    assert model.classes == names and model.converged
    np.testing.assert_allclose(model.weights, found[:2], atol=1e-3)
    # Only the differences of intercepts count.
    np.testing.assert_allclose(
        model.intercepts - model.intercepts.mean(), found[2] - found[2].mean(), atol=1e-3
    )


def texts_of(topics, random):
    """Texts of five words, nine in ten of them of the topic's own ten rows: row 0 is no word."""
    return [
        [
            1 + (topic if random.random() < 0.9 else random.integers(3)) * 10 + random.integers(10)
            for _ in range(5)
        ]
        for topic in topics
    ]


def test_a_score_by_hand():
    random = np.random.default_rng(1)
    table = random.normal(size=(31, 8)).astype("float32")
    for topic in range(3):
        table[1 + topic * 10 : 11 + topic * 10] += 2 * random.normal(size=8)
    known = np.arange(31) > 0
    topics = random.integers(0, 3, 200)
    train = texts_of(topics, random) + [[0], []]
    labels = [f"topic {t}" for t in topics] + ["topic 0", "topic 1"]
    wanted = random.integers(0, 3, 60)
    test = texts_of(wanted, random) + [[0, 0]]
    test_labels = [f"topic {t}" for t in wanted] + ["topic 9"]
    score = probe_score(train, labels, test, test_labels, table, known)
    assert 0.9 < score["accuracy"] <= 60 / 61  # nobody can know the last one
    most = max(sorted(set(labels)), key=labels.count)
    assert score["majority"] == pytest.approx(test_labels.count(most) / 61)
    assert (score["train_texts"], score["test_texts"], score["classes"]) == (202, 61, 3)
    assert (score["train_unknown"], score["test_unknown"]) == (2, 1)
    assert score["known_words"] == pytest.approx(300 / 302)
    assert score["converged"]


def test_a_text_without_a_known_word_gets_the_most_frequent_label():
    table = np.array([[0, 0], [5, 1], [-5, 1]], "float32")
    known = np.array([False, True, True])
    train, labels = [[1]] * 9 + [[2]] * 4, ["a"] * 9 + ["b"] * 4
    assert probe_score(train, labels, [[0], []], ["a", "a"], table, known)["accuracy"] == 1
    assert probe_score(train, labels, [[0], [2]], ["b", "b"], table, known)["accuracy"] == 0.5


def test_nothing_to_learn_from_is_a_user_error():
    table, known = np.ones((2, 3), "float32"), np.array([False, True])
    message = "Received: 1 of 2 texts with a known word, labels a; 1 to test"
    with pytest.raises(UserError, match=message):
        probe_score([[1], [0]], ["a", "b"], [[1]], ["a"], table, known)
    with pytest.raises(UserError, match="labels none; 1 to test"):
        probe_score([[0], [0]], ["a", "b"], [[1]], ["a"], table, known)
