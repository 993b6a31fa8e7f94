"""Is one model better than another, or were the test texts kind to it?

Both tests compare two models on the same texts. They measure the chance in the choice of the test texts, not the chance
in training: of that, only several seeds tell.

Shapes: N examples (texts, sentences, documents), K statistics, B samples.
"""

from collections.abc import Callable

import numpy as np

from tflm.errors import UserError

NUM_SAMPLES = 1000  # of Koehn 2004


def mcnemar(first_right, second_right) -> dict[str, float]:
    """McNemar's exact test of two classifiers: do they err equally often?

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages"; for
    classifiers Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification Learning
    Algorithms". Only the texts count that one alone has right: were both equally good, either would be as likely to be
    that one, whatever the share of easy texts.

    Args:
        first_right, second_right: (N,) whether a model's answer to a text is right.

    Returns:
        only_first, only_second: how many texts that model alone has right.
        p_value: two-sided, of the binomial distribution with one half; 1 where no text tells them apart.

    Raises:
        UserError: for another number of the one than of the other.
    """
    from scipy.stats import binomtest

    first, second = np.asarray(first_right, bool), np.asarray(second_right, bool)
    _check(first, second)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    p_value = float(binomtest(only_first, apart, 0.5).pvalue) if apart else 1.0
    return {"only_first": only_first, "only_second": only_second, "p_value": p_value}


def paired_bootstrap(
    first,
    second,
    metric: Callable[[np.ndarray], np.ndarray] | None = None,
    num_samples: int = NUM_SAMPLES,
    seed: int = 0,
) -> dict[str, float]:
    """The paired bootstrap of Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation".

    Test sets of N examples are drawn from the test set, with replacement, the same ones for both models. How often the
    better model is not better on them tells how far its lead hangs on a few examples.

    Args:
        first, second: (N,) scores of the examples, of which the mean is compared; or (N, K) statistics that add up, of
            which `metric` makes the score: for the F1 of entities the counts of each sentence, for BLEU those of each
            translation. More is better.
        metric: from sums of statistics (..., K) to scores (...), such as
            `lambda sums: precision_recall_f1(sums)[..., 2]`.
        num_samples: B.
        seed: of the samples.

    Returns:
        first, second, difference: the scores on the test set itself, and first - second.
        low, high: the middle 95 % of the differences on the samples.
        p_value: two-sided: twice the share of the samples on which the better model is not better. One sample is added
            that says so, so that p is never below 2 / (B + 1) (Davison and Hinkley 1997, sec. 4.2).

    Raises:
        UserError: for other shapes of the one than of the other, no examples, or statistics without a metric.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    _check(first, second)
    num_examples = len(first)
    if metric is None:
        if first.ndim != 1:
            raise UserError(
                "A bootstrap of statistics needs the metric that makes a score of their sums. "
                f"Received: statistics {first.shape}, no metric."
            )
        first, second = first[:, None], second[:, None]

        def metric(sums):
            return sums[..., 0] / num_examples

    random = np.random.default_rng(seed)
    both = np.concatenate([first, second], axis=1)
    sums = np.empty((num_samples, both.shape[1]))
    for sample in range(num_samples):
        drawn = random.integers(num_examples, size=num_examples)
        sums[sample] = np.bincount(drawn, minlength=num_examples) @ both
    split = first.shape[1]
    differences = metric(sums[:, :split]) - metric(sums[:, split:])
    score_first, score_second = (float(metric(each.sum(axis=0))) for each in (first, second))
    fewer = min((differences <= 0).sum(), (differences >= 0).sum())
    low, high = np.quantile(differences, [0.025, 0.975])
    return {
        "first": score_first,
        "second": score_second,
        "difference": score_first - score_second,
        "low": float(low),
        "high": float(high),
        "p_value": float(min(1.0, 2 * (fewer + 1) / (num_samples + 1))),
    }


def _check(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape or not len(first):
        raise UserError(
            "Two models are compared on the same examples, one at least. "
            f"Received: {first.shape} of the first, {second.shape} of the second."
        )
