"""ROUGE against rouge-score itself, and against a calculation by hand."""

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from tflm.errors import UserError
from tflm.metrics.rouge import lead, rouge_scores

REFERENCES = ["Anna bakes cookies and brings some tomorrow.", "The dogs were running."]
HYPOTHESES = ["Anna baked cookies; she will bring them tomorrow.", "A dog runs."]


def f1(matches, hypothesis, reference):
    return 100 * 2 * matches / (hypothesis + reference)


def test_by_hand():
    """the cat sat on mat (5) against the cat lay on the mat (6): 4 words and 1 pair are right, 4 are in order."""
    scores = rouge_scores(["the cat sat on mat"], ["the cat lay on the mat"])
    assert scores["rouge1"] == pytest.approx(f1(4, 5, 6))
    assert scores["rouge2"] == pytest.approx(f1(1, 4, 5))
    assert scores["rouge_l"] == pytest.approx(f1(4, 5, 6))


def test_characters_by_hand():
    """基于 AI 的研究 (7 characters) against 基于ai方法的研究 (9): all 7 are right, in order, in 5 of 6 pairs."""
    scores = rouge_scores(["基于 AI 的研究"], ["基于ai方法的研究"], words="characters")
    assert scores["rouge1"] == pytest.approx(f1(7, 7, 9))
    assert scores["rouge2"] == pytest.approx(f1(5, 6, 8))
    assert scores["rouge_l"] == pytest.approx(f1(7, 7, 9))
    assert "unit:characters" in scores["rouge_signature"]


def test_jieba_by_hand():
    """研究/方法 against 研究/结果: one of two words."""
    scores = rouge_scores(["研究方法"], ["研究结果"], words="jieba")
    assert scores["rouge1"] == pytest.approx(50)
    assert scores["rouge2"] == 0


def test_it_is_rouge_score():
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    pairs = zip(HYPOTHESES, REFERENCES, strict=True)
    expected = [scorer.score(reference, hypothesis) for hypothesis, reference in pairs]
    scores = rouge_scores(HYPOTHESES, REFERENCES)
    for ours, theirs in (("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rouge_l", "rougeL")):
        mean = np.mean([one[theirs].fmeasure for one in expected])
        assert scores[ours] == pytest.approx(100 * mean)
    assert scores["rouge1"] > 0


def test_lead():
    assert lead("One. Two is 2.5! Three") == "One."
    assert lead("One. Two is 2.5! Three", 2) == "One. Two is 2.5!"
    assert lead("本文提出方法。结果表明有效。") == "本文提出方法。"
    assert lead("Ann: hi\nBob: hello", 1) == "Ann: hi"
    assert lead("no end", 3) == "no end"
    assert lead("") == ""


def test_errors():
    with pytest.raises(UserError, match="Unknown unit of ROUGE 'letters'. .*characters"):
        rouge_scores(["a"], ["a"], words="letters")
    with pytest.raises(UserError, match="Received: 0 hypotheses, 1 references"):
        rouge_scores([], ["a"])
