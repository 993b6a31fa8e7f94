"""Scores of a classifier by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tflm.errors import UserError
from tflm.metrics.classification import (
    accuracy,
    average_scores,
    class_counts,
    confusion_counts,
    matthews_correlation,
    multi_label_counts,
    precision_recall_f1,
    subset_accuracy,
)

AVERAGES = ("micro", "macro", "weighted")


def values(averages, name):
    return [averages[name][score] for score in ("precision", "recall", "f1")]


def test_confusion_counts():
    labels, predictions = [0, 0, 1, 2, 2, 2], [0, 2, 1, 2, 2, 0]
    counts = confusion_counts(labels, predictions, 4)
    assert counts.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert accuracy(counts) == 4 / 6
    assert confusion_counts(np.int32([]), np.int64([]), 2).tolist() == [[0, 0], [0, 0]]
    assert accuracy(np.zeros((2, 2))) == 0.0


def test_scores_by_hand():
    """Class 2 is never answered, class 3 never comes, class 4 neither."""
    labels, predictions = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 3, 0]
    counts = class_counts(confusion_counts(labels, predictions, 5))
    assert counts.tolist() == [[2, 3, 3], [1, 2, 2], [0, 0, 1], [0, 1, 0], [0, 0, 0]]
    expected = [[2 / 3, 2 / 3, 2 / 3], [1 / 2, 1 / 2, 1 / 2], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(precision_recall_f1(counts), expected, rtol=1e-15)
    averages = average_scores(counts)
    assert values(averages, "micro") == pytest.approx([3 / 6] * 3)
    assert values(averages, "macro") == pytest.approx([(2 / 3 + 1 / 2) / 4] * 3)
    assert values(averages, "weighted") == pytest.approx([(3 * 2 / 3 + 2 / 2) / 6] * 3)
    every = average_scores(counts, only_seen=False)
    assert values(every, "macro") == pytest.approx([(2 / 3 + 1 / 2) / 5] * 3)


def test_precision_and_recall_are_not_each_other():
    """One class answered 4 times, 3 of them rightly, that came 6 times: F1 = 2 * 3 / 10."""
    assert precision_recall_f1([3, 4, 6]).tolist() == pytest.approx([3 / 4, 3 / 6, 6 / 10])


def test_nothing_at_all():
    averages = average_scores(np.zeros((3, 3), int))
    assert [values(averages, name) for name in AVERAGES] == [[0, 0, 0]] * 3
    assert subset_accuracy(np.zeros((0, 2)), np.zeros((0, 2))) == 0.0
    assert matthews_correlation(np.zeros((2, 2))) == 0.0


def test_matthews_by_hand():
    """(TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN)) with TP 6, TN 3, FP 1, FN 2."""
    counts = [[3, 1], [2, 6]]
    assert matthews_correlation(counts) == pytest.approx((6 * 3 - 1 * 2) / (7 * 8 * 4 * 5) ** 0.5)
    assert matthews_correlation([[0, 4], [0, 6]]) == 0.0  # one answer only
    assert matthews_correlation(np.eye(3)) == pytest.approx(1)
    assert matthews_correlation([[0, 5], [5, 0]]) == pytest.approx(-1)


def random_answers(random):
    """Labels and answers of up to 12 texts and 5 classes, some of which never come or are never answered."""
    num_labels, num_texts = random.integers(2, 6), random.integers(1, 13)
    labels = random.integers(num_labels, size=num_texts)
    guesses = random.integers(random.integers(1, num_labels + 1), size=num_texts)
    return labels, np.where(random.random(num_texts) < random.random(), labels, guesses)


def scikit_learn(labels, predictions, average):
    *scores, came = sklearn.precision_recall_fscore_support(
        labels, predictions, average=average, zero_division=0
    )
    return scores, came


def test_ten_thousand_test_sets_are_those_of_scikit_learn():
    """In one call: the classes of each set are its own. Averages are by hand, of scikit-learn's scores of classes."""
    random = np.random.default_rng(5)
    sets = [random_answers(random) for _ in range(10_000)]
    offsets = np.repeat(np.arange(0, 50_000, 5), [len(labels) for labels, _ in sets])
    labels, predictions = (np.concatenate(each) + offsets for each in zip(*sets, strict=True))
    *scores, came = sklearn.precision_recall_fscore_support(
        labels, predictions, labels=range(50_000), zero_division=0
    )
    scores = np.stack(scores, axis=-1).reshape(10_000, 5, 3)
    came = came.reshape(10_000, 5)
    answered = np.bincount(predictions, minlength=50_000).reshape(10_000, 5)
    counts = np.stack([class_counts(confusion_counts(*each, 5)) for each in sets])
    np.testing.assert_array_equal(counts[..., 1:], np.stack([answered, came], axis=-1))
    np.testing.assert_allclose(precision_recall_f1(counts), scores, atol=1e-12)
    for k, averages in enumerate(map(average_scores, counts)):
        macro = scores[k][came[k] + answered[k] > 0].mean(axis=0)
        weighted = came[k] @ scores[k] / came[k].sum()
        ours = [*values(averages, "macro"), *values(averages, "weighted")]
        assert np.allclose(ours, [*macro, *weighted], rtol=0, atol=1e-12)


# 10 ms a case, most of it scikit-learn's checks of its arguments.
CASES = pytest.mark.parametrize("cases", [50, pytest.param(2_000, marks=pytest.mark.slow)])


@CASES
def test_one_label_is_that_of_scikit_learn(cases):
    random = np.random.default_rng(6)
    for _ in range(cases):
        labels, predictions = random_answers(random)
        confusion = confusion_counts(labels, predictions, 5)
        expected = sklearn.confusion_matrix(labels, predictions, labels=range(5))
        assert confusion.tolist() == expected.tolist()
        assert accuracy(confusion) == pytest.approx(sklearn.accuracy_score(labels, predictions))
        averages = average_scores(class_counts(confusion))
        for name in AVERAGES:
            expected, _ = scikit_learn(labels, predictions, name)
            assert values(averages, name) == pytest.approx(expected, abs=1e-12), name
        if (
            len({*labels, *predictions}) > 1
        ):  # else scikit-learn warns of a confusion matrix of one class
            expected = sklearn.matthews_corrcoef(labels, predictions)
            assert matthews_correlation(confusion) == pytest.approx(expected, abs=1e-12)


def test_ten_thousand_classes_are_those_of_scikit_learn():
    random = np.random.default_rng(7)
    labels = random.random((12, 10_000)) < random.random(10_000)
    predictions = np.where(random.random((12, 10_000)) < 0.3, ~labels, labels)
    predictions &= random.random(10_000) < 0.9  # a class in ten is never answered
    counts = multi_label_counts(labels, predictions)
    expected, came = scikit_learn(labels, predictions, None)
    np.testing.assert_allclose(precision_recall_f1(counts).T, expected, atol=1e-12)
    assert counts[:, 2].tolist() == came.tolist()
    averages = average_scores(counts, only_seen=False)
    for name in AVERAGES:
        expected, _ = scikit_learn(labels, predictions, name)
        assert values(averages, name) == pytest.approx(expected), name


@CASES
def test_several_labels_are_those_of_scikit_learn(cases):
    random = np.random.default_rng(8)
    for _ in range(cases):
        shape = random.integers(1, 8), random.integers(2, 6)
        labels, predictions = random.random(shape) < 0.3, random.random(shape) < 0.3
        counts = multi_label_counts(labels, predictions.astype(int))
        averages = average_scores(counts, only_seen=False)
        for name in AVERAGES:
            expected, _ = scikit_learn(labels, predictions, name)
            assert values(averages, name) == pytest.approx(expected, abs=1e-12), name
        expected = sklearn.accuracy_score(labels, predictions)
        assert subset_accuracy(labels, predictions) == pytest.approx(expected)


def test_counts_of_batches_add_up():
    labels, predictions = np.array([[1, 0], [1, 1], [0, 1]]), np.array([[1, 1], [0, 1], [0, 1]])
    parts = [multi_label_counts(labels[k : k + 1], predictions[k : k + 1]) for k in range(3)]
    assert sum(parts).tolist() == multi_label_counts(labels, predictions).tolist()
    assert sum(parts).tolist() == [[1, 1, 2], [2, 3, 2]]


def test_errors():
    with pytest.raises(UserError, match=r"of one shape\. Received: \(2, 3\) and \(3, 2\)"):
        multi_label_counts(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(UserError, match=r"two matrices .* Received: \(2,\) and \(2,\)"):
        subset_accuracy([0, 1], [0, 1])
