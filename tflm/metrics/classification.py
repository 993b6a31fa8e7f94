"""Counts of right and wrong answers of a classifier, in numpy."""

import numpy as np


def confusion_counts(labels, predictions, num_labels: int) -> np.ndarray:
    """How often each label was answered by each.

    Args:
        labels, predictions: integers in [0, num_labels), of one shape.
        num_labels: L.

    Returns:
        (L, L) int64; row: the label, column: the prediction.
    """
    pairs = np.asarray(labels, np.int64).ravel() * num_labels + np.asarray(predictions).ravel()
    return np.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels)


def accuracy(counts) -> float:
    """The share of right answers in the (L, L) counts of `confusion_counts`; 0 where there are none."""
    counts = np.asarray(counts)
    return float(np.trace(counts) / max(counts.sum(), 1))
