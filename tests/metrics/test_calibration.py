"""Calibration by hand, and against scikit-learn's reliability diagram and Brier score."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from tflm.errors import UserError
from tflm.metrics.calibration import brier_score, calibration_counts, expected_calibration_error


def test_by_hand():
    """Two bins, (0, 0.5] and (0.5, 1]: |1 - 1.0| / 5 + |2 - 2.5| / 5."""
    counts = calibration_counts([0.5, 0.5, 0.8, 0.8, 0.9], [True, False, True, False, True], 2)
    assert counts.tolist() == [[2, 1.0, 1], [3, pytest.approx(2.5), 2]]
    assert expected_calibration_error(counts) == pytest.approx(0.5 / 5)


def test_the_ends():
    counts = calibration_counts([0.0, 1.0], [0, 1], 10)
    assert counts[:, 0].tolist() == [1] + [0] * 8 + [1]
    assert expected_calibration_error(counts) == 0
    assert expected_calibration_error(calibration_counts([], [])) == 0


def test_counts_of_batches_add_up():
    random = np.random.default_rng(0)
    confidences, right = random.random(50), random.random(50) < 0.5
    parts = [calibration_counts(confidences[k::2], right[k::2]) for k in range(2)]
    np.testing.assert_allclose(sum(parts), calibration_counts(confidences, right), rtol=1e-12)


def test_ten_thousand_answers_are_those_of_scikit_learn():
    """In hundred test sets of hundred texts; every tenth confidence is the edge of a bin."""
    random = np.random.default_rng(1)
    for _ in range(100):
        confidences = random.random(100)
        confidences[::10] = np.linspace(0, 1, 10)
        right = random.random(100) < confidences**2
        num_bins = int(random.choice([1, 9, 10, 15]))
        counts = calibration_counts(confidences, right, num_bins)
        accuracies, means = calibration_curve(right, confidences, n_bins=num_bins)
        texts, sums, rights = counts[counts[:, 0] > 0].T
        np.testing.assert_allclose(rights / texts, accuracies, rtol=1e-12)
        np.testing.assert_allclose(sums / texts, means, rtol=1e-12)
        expected = (texts / 100 * abs(accuracies - means)).sum()
        assert expected_calibration_error(counts) == pytest.approx(expected)


def test_brier_score():
    probabilities = np.random.default_rng(2).dirichlet([1, 1, 1], size=40)
    labels = np.random.default_rng(3).integers(3, size=40)
    ones = labels[:, None] == np.arange(3)
    expected = sum(brier_score_loss(ones[:, k], probabilities[:, k]) for k in range(3))
    assert brier_score(probabilities, labels) == pytest.approx(expected)
    assert brier_score(probabilities, ones) == pytest.approx(expected)
    assert brier_score([[0.8, 0.2], [0.4, 0.6]], [0, 0]) == pytest.approx((0.08 + 0.72) / 2)
    assert brier_score([[0.8, 0.6]], [[1, 0]]) == pytest.approx(0.04 + 0.36)


def test_errors():
    with pytest.raises(UserError, match=r"from 0 to 1\. Received: 1\.5"):
        calibration_counts([0.2, 1.5], [0, 1])
    with pytest.raises(UserError, match=r"from 0 to 1\. Received: nan"):
        calibration_counts([float("nan")], [0])
    with pytest.raises(UserError, match=r"Received: confidences \(2,\), answers \(1,\)"):
        calibration_counts([0.2, 0.3], [0])
    with pytest.raises(UserError, match=r"Received: probabilities \(1, 2\), labels \(2,\)"):
        brier_score([[0.5, 0.5]], [0, 1])
    with pytest.raises(UserError, match="one text at least"):
        brier_score(np.zeros((0, 2)), np.zeros(0, int))
