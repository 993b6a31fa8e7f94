"""Similarity sets against scipy and sums by hand."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from tflm.metrics.similarity import pearson, rows_by_word, similarity_score, spearman


@dataclasses.dataclass
class Vectors:
    words: list[str]
    table: np.ndarray
    composed: dict = dataclasses.field(default_factory=dict)

    def __contains__(self, word):
        return word in self.words or word in self.composed

    def vector(self, word):
        return self.composed[word]


def at_angles(**degrees) -> Vectors:
    angles = np.radians(list(degrees.values()))
    lengths = np.arange(1, len(angles) + 1)  # a product would follow them, a cosine does not
    table = (lengths * [np.cos(angles), np.sin(angles)]).T.astype("float32")
    return Vectors(list(degrees), table)


@pytest.mark.parametrize("seed", range(3))
def test_correlations_are_those_of_scipy(seed):
    random = np.random.default_rng(seed)
    first = random.integers(0, 8, 50)  # with many ties
    second = first + random.normal(0, 4, 50).round(0)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second)[0], abs=1e-12)
    assert pearson(first, second) == pytest.approx(stats.pearsonr(first, second)[0], abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3])])
def test_where_there_is_nothing_to_rank_there_is_no_correlation(first, second):
    assert math.isnan(spearman(first, second)) and math.isnan(pearson(first, second))


def test_a_score_by_hand():
    vectors = at_angles(king=0, queen=10, cabbage=80, carrot=75)
    pairs = [
        ("king", "queen", 8),
        ("cabbage", "carrot", 9),
        ("king", "cabbage", 1),
        ("king", "zebra", 7),
    ]
    pairs += [("queen", "carrot", 0.5)]
    score = similarity_score(vectors, pairs)
    assert (score["pairs"], score["found"], score["oov"]) == (5, 4, 1)
    cosines = np.cos(np.radians([10, 5, 80, 65]))
    assert score["pearson"] == pytest.approx(stats.pearsonr(cosines, [8, 9, 1, 0.5])[0], abs=1e-6)
    # Ranks of the cosines 3 4 1 2, of the scores 3 4 2 1: 1 - 6 * (1 + 1) / (4 * 15).
    assert score["spearman"] == pytest.approx(0.8)
    with_oov = stats.spearmanr([*cosines, 0], [8, 9, 1, 0.5, 7])[0]
    assert score["spearman_with_oov"] == pytest.approx(with_oov)


def test_pairs_of_a_word_with_itself_tie():
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(50)]
    vectors = Vectors(words, random.normal(size=(50, 30)).astype("float32"))
    same = [(word, word, score) for score, word in enumerate(words)]
    score = similarity_score(vectors, [*same, ("w0", "w1", -1)])
    scores = [*range(50), -1]
    assert score["spearman"] == pytest.approx(stats.spearmanr([1] * 50 + [0.5], scores)[0])


def test_case_is_ignored_or_not():
    vectors = at_angles(Paris=0, PARIS=50, france=10, rome=90)
    pairs = [("paris", "France", 9), ("rome", "france", 2), ("Paris", "rome", 1)]
    ignored = similarity_score(vectors, pairs)
    assert ignored["oov"] == 0
    cosines = np.cos(np.radians([10, 80, 90]))  # the first of Paris and PARIS
    assert ignored["pearson"] == pytest.approx(stats.pearsonr(cosines, [9, 2, 1])[0], abs=1e-6)
    assert similarity_score(vectors, pairs, ignore_case=False)["found"] == 2
    assert rows_by_word(["b", "B", "a"]) == {"B": 0, "A": 2}
    assert rows_by_word(["b", "B", "a"], ignore_case=False) == {"b": 0, "B": 1, "a": 2}


def test_a_word_that_is_composed_counts_as_found():
    vectors = at_angles(king=0, queen=10, carrot=75)
    vectors.composed["kingly"] = np.array([0.5, 0.1], "float32")
    pairs = [("king", "kingly", 5), ("king", "queen", 8), ("king", "carrot", 1), ("king", "x", 2)]
    score = similarity_score(vectors, pairs)
    assert (score["found"], score["oov"]) == (3, 1)
    assert score["spearman"] == pytest.approx(1)


def test_a_vector_of_zeros_has_a_cosine_of_zero():
    vectors = Vectors(["a", "b", "c"], np.array([[0, 0], [1, 0], [1, 1]], "float32"))
    score = similarity_score(vectors, [("a", "b", 0), ("b", "c", 1)])
    assert score["pearson"] == pytest.approx(1)


def test_no_pair_found():
    score = similarity_score(at_angles(king=0), [("x", "y", 1), ("king", "y", 2)])
    assert math.isnan(score["spearman"]) and score["oov"] == 2
