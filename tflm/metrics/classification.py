"""Counts of right and wrong answers of a classifier, and the scores that follow from them, in numpy.

Counts first, then scores: counts of batches add up, so that a test set of any size needs no more memory than one batch.
With one label a text

    confusion = confusion_counts(labels, predictions, L)     (L, L), adds up
    accuracy(confusion), matthews_correlation(confusion), average_scores(class_counts(confusion))

and with several, as matrices of 0 and 1

    counts = multi_label_counts(labels, predictions)         (L, 3), adds up
    average_scores(counts, only_seen=False), subset_accuracy(labels, predictions)

All scores go from 0 to 1 (Matthews' correlation from -1) and are those of scikit-learn with `zero_division=0`:
precision is 0 for a class that is never answered, recall 0 for one that never comes.

Shapes: N texts, L labels.
"""

import numpy as np

from tflm.errors import UserError

SCORES = ("precision", "recall", "f1")


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


def matthews_correlation(counts) -> float:
    """Matthews' correlation of labels and answers from the (L, L) counts of `confusion_counts`, from -1 to 1.

    With two classes the correlation of Matthews 1975, with more R_K of Gorodkin 2004, "Comparing two K-category
    assignments by a K-category correlation coefficient". 0 where only one class comes or only one is answered.
    """
    counts = np.asarray(counts, np.float64)
    came, answered, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    scale = np.sqrt(total**2 - came @ came) * np.sqrt(total**2 - answered @ answered)
    covariance = np.trace(counts) * total - came @ answered
    return float(covariance / scale) if scale > 0 else 0.0


def class_counts(counts) -> np.ndarray:
    """What precision and recall are made of, from the (L, L) counts of `confusion_counts`.

    Returns:
        (L, 3) int64: how often a class was answered rightly, answered at all, and came.
    """
    counts = np.asarray(counts)
    return np.stack([np.diagonal(counts), counts.sum(axis=0), counts.sum(axis=1)], axis=-1)


def multi_label_counts(labels, predictions) -> np.ndarray:
    """As `class_counts`, for texts that have any number of labels.

    Args:
        labels, predictions: (N, L), whether a text has a label: booleans, or 0 and 1.

    Raises:
        UserError: for matrices of two shapes.
    """
    labels, predictions = _label_sets(labels, predictions)
    columns = [labels & predictions, predictions, labels]
    return np.stack([column.sum(axis=0) for column in columns], axis=-1)


def subset_accuracy(labels, predictions) -> float:
    """The share of texts all of whose labels were answered and no other; 0 where there is no text.

    Args and errors as in `multi_label_counts`.
    """
    labels, predictions = _label_sets(labels, predictions)
    return float((labels == predictions).all(axis=1).sum() / max(len(labels), 1))


def _label_sets(labels, predictions) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = np.asarray(labels, bool), np.asarray(predictions, bool)
    if labels.shape != predictions.shape or labels.ndim != 2:
        raise UserError(
            "Labels and predictions must be two matrices of texts and labels, of one shape. "
            f"Received: {labels.shape} and {predictions.shape}."
        )
    return labels, predictions


def precision_recall_f1(counts) -> np.ndarray:
    """SCORES of each class.

    Args:
        counts: (..., 3), as `class_counts` has them: right answers, answers, true ones.

    Returns:
        (..., 3) float64: precision, recall and F1 = 2 right / (answers + true ones); 0 where one divides by 0.
    """
    counts = np.asarray(counts, np.float64)
    right, answered, came = counts[..., 0], counts[..., 1], counts[..., 2]
    both = (answered + came) / 2
    return np.stack([right / np.where(x > 0, x, 1) for x in (answered, came, both)], axis=-1)


def average_scores(counts, only_seen: bool = True) -> dict[str, dict[str, float]]:
    """Averages over the classes.

    Args:
        counts: (L, 3), as in `precision_recall_f1`.
        only_seen: whether `macro` leaves out the classes that neither come nor are answered, as scikit-learn does with
            one label a text; in matrices of labels it counts them as 0.

    Returns:
        micro, macro and weighted, each with precision, recall and f1. micro: of the counts of all classes together
        (with one label a text all three are the accuracy); macro: the mean of the classes' scores; weighted: their mean
        by how often the classes come. 0 where there is nothing to average.
    """
    counts = np.asarray(counts)
    scores, came = precision_recall_f1(counts), counts[:, 2]
    seen = counts.any(axis=1) if only_seen else np.ones(len(counts), bool)
    averages = {
        "micro": precision_recall_f1(counts.sum(axis=0)),
        "macro": scores[seen].sum(axis=0) / max(seen.sum(), 1),
        "weighted": came @ scores / max(came.sum(), 1),
    }
    return {
        name: dict(zip(SCORES, values.tolist(), strict=True)) for name, values in averages.items()
    }
