"""Words, their vectors and their neighbours, against sums and cosines by hand."""

import numpy as np
import pytest

from tflm.errors import UserError
from tflm.text.subwords import Subwords
from tflm.vectors import SubwordRows, WordVectors

TABLE = np.array([[1, 0], [0, 2], [3, 3], [-1, 0.1], [0, 0]], "float32")
WORDS = ["one", "two", "three", "four", "zero"]


@pytest.fixture
def with_subwords():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(2, 4)).astype("float32")
    buckets = rng.normal(size=(11, 4)).astype("float32")
    subword_rows = SubwordRows(Subwords(3, 4, 11), buckets, rows)
    words = ["cat", "</s>"]
    return WordVectors(words, subword_rows.known(words), subword_rows=subword_rows)


def test_lookup():
    vectors = WordVectors(WORDS, TABLE, counts=np.arange(5))
    assert len(vectors) == 5 and vectors.ids["three"] == 2
    assert "two" in vectors and "six" not in vectors
    np.testing.assert_array_equal(vectors.vector("two"), [0, 2])
    np.testing.assert_array_equal(vectors.vectors(["four", "one", "four"]), TABLE[[3, 0, 3]])
    assert vectors.vectors([]).shape == (0, 2)
    assert np.shares_memory(vectors.table, TABLE)
    with pytest.raises(UserError, match="'six' has no vector: it is not among the 5 words"):
        vectors.vectors(["one", "six"])


def test_words_and_rows_belong_together():
    with pytest.raises(UserError, match=r"2 words need a table of \(2, hidden_dim\).*\(5, 2\)"):
        WordVectors(["a", "b"], TABLE)
    with pytest.raises(UserError, match="'one' comes twice"):
        WordVectors(["one", "two", "one", "four", "zero"], TABLE)


def test_nearest():
    vectors = WordVectors(WORDS, TABLE)
    # By hand: cos(one, three) = 3 / sqrt(18), cos(one, two) = 0, cos(one, four) = -1 / sqrt(1.01).
    expected = [("three", 0.5**0.5), ("two", 0), ("zero", 0), ("four", -(1.01**-0.5))]
    found = vectors.nearest("one")
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], atol=1e-6)
    assert vectors.nearest("one", 1) == found[:1]
    assert vectors.nearest("one", 2, exclude=["three", "nothing"]) == found[1:3]
    words = [word for word, _ in vectors.nearest(np.array([0, 5]), 2)]
    assert words == ["two", "three"]
    with pytest.raises(UserError, match="'six' has no vector"):
        vectors.nearest("six")


def test_what_is_not_finite_is_near_nothing():
    table = TABLE.copy()
    table[1, 1], table[2, 0] = np.nan, np.inf
    assert [word for word, _ in WordVectors(WORDS, table).nearest("one", 9)] == ["zero", "four"]


def test_unknown_words_are_their_ngrams(with_subwords):
    rows, subwords = with_subwords.subword_rows, Subwords(3, 4, 11)
    for word in ("dog", "Wörter", "a"):
        expected = rows.buckets[subwords.bucket_ids(word)].astype("float64").mean(axis=0)
        np.testing.assert_allclose(with_subwords.vector(word), expected, rtol=1e-5)
        assert word in with_subwords
    together = with_subwords.vectors(["dog", "cat", "a"])
    np.testing.assert_array_equal(together[0], with_subwords.vector("dog"))
    np.testing.assert_array_equal(together[1], with_subwords.table[0])
    assert "" not in with_subwords  # <> is too short
    assert [word for word, _ in with_subwords.nearest("cats", 5)][0] == "cat"


def test_known_words_are_their_own_row_and_their_ngrams(with_subwords):
    rows = with_subwords.subword_rows
    ids = Subwords(3, 4, 11).bucket_ids("cat")
    expected = np.concatenate([rows.own[:1], rows.buckets[ids]]).astype("float64").mean(axis=0)
    np.testing.assert_allclose(with_subwords.vector("cat"), expected, rtol=1e-5)
    # As in dictionary.cc, the end of a line has no n-grams.
    np.testing.assert_array_equal(with_subwords.vector("</s>"), rows.own[1])
    without = WordVectors(["cat"], rows.own[:1], subword_rows=rows)
    assert "</s>" not in without


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    words = [f"word{i}" for i in range(100)]
    rows = SubwordRows(
        Subwords(3, 6, 50), rng.random((50, 3), "float32"), rng.random((100, 3), "float32")
    )
    expected, heard = rows.known(words), []
    monkeypatch.setattr("tflm.vectors.word_vectors._WORDS_AT_ONCE", 7)
    np.testing.assert_array_equal(rows.known(words, lambda *args: heard.append(args)), expected)
    assert heard[0] == ("add n-grams", 7, 100) and heard[-1] == ("add n-grams", 100, 100)
