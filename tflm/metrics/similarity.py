"""Word similarity: do the cosines of word vectors rank pairs of words as people do?

The usual figure is Spearman's rank correlation over the pairs whose words both have vectors; how many have not belongs
beside it, since a model that knows the easy half of a set is measured on that half.

Shapes: P pairs, N words, D hidden.
"""

import numpy as np


def spearman(first, second) -> float:
    """Spearman's rank correlation of two (P,) arrays, equal values with their average rank.

    NaN for fewer than two pairs and where one side is constant: there is nothing to rank.
    """
    from scipy.stats import rankdata

    return pearson(rankdata(first), rankdata(second))


def pearson(first, second) -> float:
    """Pearson's correlation of two (P,) arrays; NaN for fewer than two pairs and where one side is constant."""
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    if len(first) < 2:
        return float("nan")
    first, second = first - first.mean(), second - second.mean()
    scale = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / scale) if scale > 0 else float("nan")


def rows_by_word(words, ignore_case: bool = True) -> dict[str, int]:
    """Word -> its row; of words that differ in case alone the first one counts, which is the most frequent.

    Args:
        words: (N,) words, the most frequent first.
        ignore_case: whether words are keyed in upper case, as gensim keys them.
    """
    rows = {}
    for row, word in enumerate(words):
        rows.setdefault(word.upper() if ignore_case else word, row)
    return rows


def lookup(vectors, ignore_case: bool = True):
    """A function from a word to its vector (D,), or to None where it has none.

    Args:
        vectors: words and their vectors: `vectors.words`, `vectors.table` (N, D), and for words that are not among
            them `word in vectors` and `vectors.vector(word)` (D,): those of fastText have vectors too.
        ignore_case: as in `rows_by_word`.
    """
    rows = rows_by_word(vectors.words, ignore_case)

    def vector(word: str):
        row = rows.get(word.upper() if ignore_case else word)
        if row is not None:
            return vectors.table[row]
        return vectors.vector(word) if word in vectors else None

    return vector


def similarity_score(vectors, pairs, ignore_case: bool = True) -> dict:
    """How well cosines agree with the scores of a similarity set.

    Args:
        vectors: as in `lookup`.
        pairs: P triples (word, word, score).
        ignore_case: whether "Jerusalem" finds "jerusalem", as in gensim's `evaluate_word_pairs`.

    Returns:
        spearman, pearson: over the pairs that are found.
        pairs, found, oov: how many there are, how many have two vectors, how many lack one.
        spearman_with_oov: over all pairs, those that lack a vector with a cosine of 0 (gensim's `dummy4unknown`).
    """
    vector = lookup(vectors, ignore_case)
    # In float32, where a word has a cosine of exactly 1 with itself: sets have several such pairs, and they tie.
    cosines = np.zeros(len(pairs), "float32")
    scores, found = np.empty(len(pairs)), np.zeros(len(pairs), bool)
    for place, (first, second, score) in enumerate(pairs):
        scores[place] = score
        both = vector(first), vector(second)
        if both[0] is not None and both[1] is not None:
            cosines[place], found[place] = _cosine(*both), True
    return {
        "spearman": spearman(cosines[found], scores[found]),
        "pearson": pearson(cosines[found], scores[found]),
        "spearman_with_oov": spearman(cosines, scores),
        "pairs": len(pairs),
        "found": int(found.sum()),
        "oov": int((~found).sum()),
    }


def _cosine(first, second) -> float:
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    scale = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / scale) if scale > 0 else 0.0
