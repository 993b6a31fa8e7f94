"""Counts of a classifier's answers, by hand."""

import numpy as np

from tflm.metrics.classification import accuracy, confusion_counts


def test_confusion_counts():
    labels, predictions = [0, 0, 1, 2, 2, 2], [0, 2, 1, 2, 2, 0]
    counts = confusion_counts(labels, predictions, 4)
    assert counts.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert accuracy(counts) == 4 / 6
    assert confusion_counts(np.int32([]), np.int64([]), 2).tolist() == [[0, 0], [0, 0]]
    assert accuracy(np.zeros((2, 2))) == 0.0
