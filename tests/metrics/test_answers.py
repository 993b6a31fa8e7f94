"""Answers of readers by hand, and against what the data sets' own programs said (tests/golden/make_answers.py)."""

import json

import numpy as np
import pytest

from tests.golden.make_answers import FILE, QUESTIONS, ROW, THRESHOLD, rows
from tests.random_questions import random_no_answer, random_questions
from tflm.errors import UserError
from tflm.metrics.answers import (
    answer_scores,
    best_threshold,
    cmrc,
    no_answer_scores,
    question_scores,
    squad,
    squad_v2,
)

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))


def f1(common, ours, theirs):
    return pytest.approx(2 * common / (ours + theirs))


def test_squad_by_hand():
    assert squad("The cat sat!", ["a  CAT, sat"]) == (1, 1)
    assert squad("black cats", ["the white cats sat", "dog"]) == (0, f1(1, 2, 3))
    assert squad("cat cat", ["cat dog cat cat"]) == (0, f1(2, 2, 4))
    assert squad("theatre", ["the theatre"]) == (1, 1)
    # The best of each: words in another order are no exact match.
    assert squad("b c", ["c b", "b"]) == (0, 1)
    assert squad("the", ["a!"]) == (1, 0)
    assert squad("", ["cat"]) == (0, 0)


def test_squad_v2_by_hand():
    assert squad_v2("", []) == (1, 1)
    assert squad_v2("cat", []) == (0, 0)
    assert squad_v2("", ["cat"]) == (0, 0)
    assert squad_v2("the", ["!?", "cat"]) == (0, 0)
    assert squad_v2("the", ["!?"]) == (1, 1)
    assert squad_v2("black cats", ["white cats sat"]) == (0, f1(1, 2, 3))


def test_cmrc_by_hand():
    assert cmrc("《北京》", ["北京。"]) == (1, 1)
    # 北京 is the longest common run of 中国北京 and 在北京市.
    assert cmrc("中国北京", ["上海", "在北京市"]) == (0, f1(2, 4, 4))
    # windows, 10, 系, 统 and windows10, 系, 统.
    assert cmrc("Windows 10系统", ["windows10系统"]) == (0, f1(2, 4, 3))
    # Full stops and brackets of ASCII are not CMRC's punctuation: 北 京 ( nba ) . and 北 京 nba.
    assert cmrc("北京(NBA).", ["北京nba"]) == (0, f1(2, 6, 3))
    # A run, not a subsequence: 北 and 京 are apart.
    assert cmrc("北x京", ["北京"]) == (0, f1(1, 3, 2))
    assert cmrc("，。", [""]) == (1, 0)


def test_ten_thousand_questions_are_those_of_squad():
    predictions, answers = random_questions(QUESTIONS, seed=1)
    for texts, golds, expected in zip(
        *map(rows, (predictions, answers)), GOLDEN["squad"], strict=True
    ):
        pairs = [pair for pair in zip(texts, golds, strict=True) if pair[1]]
        scores = question_scores(*zip(*pairs, strict=True), "squad")
        np.testing.assert_allclose(scores.sum(axis=0), expected, rtol=1e-12)


def test_ten_thousand_questions_are_those_of_squad_v2():
    names = {"exact": "exact_match", "f1": "f1"}
    kinds = {"": "", "HasAns_": "has_answer_", "NoAns_": "no_answer_", "best_": "best_"}
    theirs = {f"{kind}{name}": kinds[kind] + names[name] for kind in kinds for name in names}
    theirs |= {f"best_{name}_thresh": f"best_{names[name]}_threshold" for name in names}
    predictions, answers = random_questions(QUESTIONS, seed=2)
    no_answer = random_no_answer(QUESTIONS, seed=3)
    sets = zip(*map(rows, (predictions, answers, no_answer)), GOLDEN["squad_v2"], strict=True)
    for texts, golds, chances, expected in sets:
        scores = no_answer_scores(texts, golds, chances, THRESHOLD)
        assert scores == pytest.approx({theirs[name]: expected[name] for name in theirs})
    assert len(expected) == len(theirs)


def test_ten_thousand_questions_are_those_of_cmrc():
    questions = random_questions(QUESTIONS, seed=4, language="chinese")
    for texts, golds, expected in zip(*map(rows, questions), GOLDEN["cmrc"], strict=True):
        scores = question_scores(texts, golds, "cmrc")
        np.testing.assert_allclose(scores.sum(axis=0), expected, rtol=1e-12)


def test_the_golden_figures_tell_something():
    assert {len(table) for table in GOLDEN.values()} == {QUESTIONS // ROW}
    for name in ("squad", "cmrc"):
        means = np.sum(GOLDEN[name], axis=0) / QUESTIONS
        assert (means > 0.2).all() and (means < 0.8).all()


def test_answer_scores():
    scores = answer_scores(["the cat", "dog"], [["cat"], ["black dog"]])
    assert scores == {"exact_match": 50.0, "f1": pytest.approx(100 * (1 + 2 / 3) / 2)}


def test_no_answer_by_hand():
    """Answers are right, wrong, right and given where there is none, with growing doubt: the first three is best.

    The counts begin with 1 of 4 for saying nothing and go to 2, 2, 3, 2.
    """
    predictions, answers = ["cat", "cow", "dog", "pig"], [["cat"], ["horse"], ["dog"], []]
    scores = no_answer_scores(predictions, answers, [0.1, 0.2, 0.6, 0.9], threshold=0.5)
    assert scores["exact_match"] == 50 and scores["has_answer_f1"] == pytest.approx(100 / 3)
    assert scores["no_answer_exact_match"] == 100
    assert (scores["best_f1"], scores["best_f1_threshold"]) == (75, 0.6)
    alone = no_answer_scores(["cat"], [["cat"]], [0.3])
    assert "no_answer_f1" not in alone and alone["best_exact_match_threshold"] == 0.3
    assert best_threshold([0, 1], [True, False], [True, False], [0.5, 0.6]) == (0.5, 0.0)


def test_errors():
    with pytest.raises(UserError, match="Unknown metric of answers 'bleu'.*cmrc, squad, squad_v2"):
        answer_scores(["a"], [["a"]], "bleu")
    with pytest.raises(UserError, match="Received: 2 hypotheses, 1 references"):
        answer_scores(["a", "b"], [["a"]])
    with pytest.raises(UserError, match="Question 2 has no answer, .* use squad_v2"):
        answer_scores(["a", "b"], [["a"], []], "cmrc")
    with pytest.raises(UserError, match=r"Each of 1 questions .* Received: \(2,\)"):
        no_answer_scores(["a"], [["a"]], [0.1, 0.2])
