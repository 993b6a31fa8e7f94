"""Are the probabilities of a classifier those with which it is right?

Guo et al. 2017, "On Calibration of Modern Neural Networks" (eq. 5): the confidences are sorted into M bins of equal
width, and the expected calibration error is the mean distance of a bin's confidence from its accuracy, by its share of
the texts:

    ECE = sum over m of |B_m| / N * |accuracy(B_m) - confidence(B_m)|

Brier 1950, "Verification of Forecasts Expressed in Terms of Probability": the squared distance of the probabilities
from the truth. Unlike the calibration error it has its minimum only at the true probabilities.

Shapes: N texts, L labels, M bins.
"""

import numpy as np

from tflm.errors import UserError

NUM_BINS = 15  # of Guo et al.


def calibration_counts(confidences, right, num_bins: int = NUM_BINS) -> np.ndarray:
    """What a reliability diagram shows; counts of batches add up.

    Args:
        confidences: (N,) the probability of each answer, from 0 to 1.
        right: (N,) whether the answer was right.
        num_bins: M; bin m holds the confidences in (m / M, (m + 1) / M], the first one 0, too.

    Returns:
        (M, 3) float64: the texts of each bin, the sum of their confidences, and how many were right.

    Raises:
        UserError: for a confidence that is no probability, or another number of the one than of the other.
    """
    confidences, right = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    if confidences.ndim != 1 or confidences.shape != right.shape:
        raise UserError(
            "A calibration needs one confidence for each answer. "
            f"Received: confidences {confidences.shape}, answers {right.shape}."
        )
    outside = ~((confidences >= 0) & (confidences <= 1))  # NaN, too
    if outside.any():
        raise UserError(
            f"Confidences must be probabilities, from 0 to 1. Received: {confidences[outside][0]}."
        )
    edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    bins = np.searchsorted(edges, confidences)
    sums = [np.bincount(bins, weights, num_bins) for weights in (None, confidences, right)]
    return np.stack(sums, axis=-1).astype(np.float64)


def expected_calibration_error(counts) -> float:
    """From 0 to 1, of the (M, 3) counts of `calibration_counts`; 0 where there is no text."""
    texts, confidences, right = np.asarray(counts, np.float64).T
    return float(np.abs(right - confidences).sum() / max(texts.sum(), 1))


def brier_score(probabilities, labels) -> float:
    """The mean over the texts of the sum over the labels of (probability - truth)^2; less is better.

    With one label a text from 0 to 2, which is Brier's own and of two classes twice scikit-learn's; with several the
    sum of the scores of the labels, from 0 to L.

    Args:
        probabilities: (N, L).
        labels: (N,) integers in [0, L), or (N, L) booleans or 0 and 1.

    Raises:
        UserError: for shapes that do not belong together, or no text at all.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    shapes = (probabilities.shape, probabilities.shape[:1])
    if probabilities.ndim != 2 or labels.shape not in shapes:
        raise UserError(
            "A Brier score needs the probabilities of all labels of each text, and its labels. "
            f"Received: probabilities {probabilities.shape}, labels {labels.shape}."
        )
    if not len(labels):
        raise UserError("A Brier score needs one text at least. Received: none.")
    if labels.ndim == 1:
        labels = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - labels).sum(axis=1).mean())
