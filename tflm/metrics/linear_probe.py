"""A linear probe: how much of a label a linear classifier reads from the mean vector of a text's words.

Multinomial logistic regression on standardised features, fitted by L-BFGS (Liu and Nocedal 1989) to

    sum over texts of -log p(label | text) + strength / 2 * ||W||^2

with the intercepts left free. The problem is convex, so the figure depends on the vectors alone and on no seed.

Shapes: T texts, N words, D hidden, C classes.
"""

import dataclasses

import numpy as np

from tflm.errors import UserError

MAX_ITERATIONS = 1000


def mean_vectors(texts, table, known) -> tuple[np.ndarray, np.ndarray]:
    """The mean vector of every text's known words.

    Args:
        texts: T sequences of rows of the table.
        table: (N, D) vectors.
        known: (N,) whether a row is the vector of a word.

    Returns:
        (T, D) float32, zero for a text without a known word; (T,) int64, the number of known words.
    """
    means = np.zeros((len(texts), table.shape[1]), "float32")
    counts = np.zeros(len(texts), "int64")
    for place, text in enumerate(texts):
        rows = np.asarray(text, "int64")
        rows = rows[known[rows]]
        counts[place] = len(rows)
        if len(rows):
            means[place] = table[rows].mean(axis=0)
    return means, counts


@dataclasses.dataclass
class LogisticRegression:
    """A fitted classifier.

    Attributes:
        classes: C labels, sorted.
        weights: (D, C), of the standardised features.
        intercepts: (C,)
        mean, scale: (D,) of the training features.
        converged: whether the fit came to its end.
    """

    classes: list[str]
    weights: np.ndarray
    intercepts: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    converged: bool

    def predict(self, features, is_known) -> list[str]:
        """A label for each of (T, D) features; a text of which nothing is known (T,) gets what the intercepts say."""
        standardised = np.where(is_known[:, None], (features - self.mean) / self.scale, 0)
        logits = standardised @ self.weights + self.intercepts  # (T, C)
        return [self.classes[i] for i in logits.argmax(axis=1)]


def fit(features, labels, strength: float = 1.0) -> LogisticRegression:
    """Fits the classifier; (T, D) features and T labels, of which at least two are different.

    Args:
        strength: of the penalty on the weights, against the sum over texts; 1 is scikit-learn's default.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    classes, wanted = np.unique(np.asarray(labels, str), return_inverse=True)
    features = np.asarray(features, "float64")
    (count, dim), num_classes = features.shape, len(classes)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-12] = 1
    x = (features - mean) / scale
    texts = np.arange(count)

    # Per text, so that the optimizer's tolerances mean the same for any number of them.
    def loss_and_gradient(parameters):
        weights, intercepts = (
            parameters[: dim * num_classes].reshape(dim, -1),
            parameters[-num_classes:],
        )
        logits = x @ weights + intercepts
        log_p = logits - logsumexp(logits, axis=1, keepdims=True)
        loss = -log_p[texts, wanted].sum() + strength / 2 * (weights**2).sum()
        errors = np.exp(log_p)
        errors[texts, wanted] -= 1
        gradient = x.T @ errors + strength * weights
        return loss / count, np.concatenate([gradient.ravel(), errors.sum(axis=0)]) / count

    found = minimize(
        loss_and_gradient,
        np.zeros((dim + 1) * num_classes),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS, "ftol": 1e-10, "gtol": 1e-6},
    )
    return LogisticRegression(
        classes=classes.tolist(),
        weights=found.x[: dim * num_classes].reshape(dim, -1),
        intercepts=found.x[-num_classes:],
        mean=mean,
        scale=scale,
        converged=bool(found.success),
    )


def probe_score(train, train_labels, test, test_labels, table, known) -> dict:
    """The accuracy of the probe on a test set.

    Args:
        train, test: texts as sequences of rows of the table. Training texts without a known word are left out.
        train_labels, test_labels: their labels.
        table: (N, D) vectors.
        known: (N,) whether a row is the vector of a word.

    Returns:
        accuracy: over all test texts, those without a known word included.
        majority: the accuracy of always saying the most frequent label of the training texts.
        classes, train_texts, test_texts: how many there are.
        train_unknown, test_unknown: texts without a known word.
        known_words: the share of the test texts' words that have a vector.
        converged: whether the fit came to its end.

    Raises:
        UserError: where the training texts with a known word have fewer than two labels, or there is no test text.
    """
    train_means, train_counts = mean_vectors(train, table, known)
    test_means, test_counts = mean_vectors(test, table, known)
    usable = train_counts > 0
    train_labels, test_labels = np.asarray(train_labels, str), np.asarray(test_labels, str)
    if len(set(train_labels[usable])) < 2 or not len(test_labels):
        raise UserError(
            "A probe needs texts of at least two labels to learn from, with words that have vectors, and a text to be "
            f"tested on. Received: {usable.sum()} of {len(train)} texts with a known word, labels "
            f"{', '.join(sorted(set(train_labels[usable]))) or 'none'}; {len(test)} to test."
        )
    model = fit(train_means[usable], train_labels[usable])
    predicted = np.asarray(model.predict(test_means, test_counts > 0), str)
    names, frequency = np.unique(train_labels, return_counts=True)
    num_words = sum(map(len, test))
    return {
        "accuracy": float((predicted == test_labels).mean()),
        "majority": float((test_labels == names[frequency.argmax()]).mean()),
        "classes": len(model.classes),
        "train_texts": len(train),
        "test_texts": len(test),
        "train_unknown": int((~usable).sum()),
        "test_unknown": int((test_counts == 0).sum()),
        "known_words": float(test_counts.sum() / max(num_words, 1)),
        "converged": model.converged,
    }
