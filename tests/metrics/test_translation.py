"""BLEU and chrF against sacrebleu's own functions, and against a calculation by hand."""

import math

import pytest
import sacrebleu

from tflm.errors import UserError
from tflm.metrics.translation import TOKENIZERS, translation_scores

REFERENCES = ["the cat sat on the mat.", "there is a dog in the garden, is there not?"]
HYPOTHESES = ["the cat is on the mat.", "there is a dog in a garden, is there?"]


def test_bleu_by_hand():
    """One pair, tokens a b c d e f against a b c d x f: matches 5/6, 3/5, 2/4, 1/3, no brevity penalty."""
    scores = translation_scores(["a b c d x f"], ["a b c d e f"], tokenize="none")
    by_hand = 100 * math.exp(sum(map(math.log, (5 / 6, 3 / 5, 2 / 4, 1 / 3))) / 4)
    assert scores["bleu"] == pytest.approx(by_hand)
    assert scores["brevity_penalty"] == 1.0


def test_the_brevity_penalty_by_hand():
    """5 of 6 tokens, all right: every precision is 1, and the penalty exp(1 - 6/5) is the score."""
    scores = translation_scores(["a b c d e"], ["a b c d e f"], tokenize="none")
    assert scores["brevity_penalty"] == pytest.approx(math.exp(1 - 6 / 5))
    assert scores["bleu"] == pytest.approx(100 * math.exp(1 - 6 / 5))


@pytest.mark.parametrize("tokenize", TOKENIZERS)
def test_it_is_sacrebleu(tokenize):
    scores = translation_scores(HYPOTHESES, REFERENCES, tokenize)
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], tokenize=tokenize)
    assert scores["bleu"] == expected.score
    assert scores["chrf"] == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    assert f"tok:{tokenize}" in scores["bleu_signature"]
    assert f"version:{sacrebleu.__version__}" in scores["bleu_signature"]
    assert "nrefs:1" in scores["chrf_signature"]


def test_chinese_is_cut_into_characters():
    """我爱你们 against 我爱他们: without it the whole sentence is one word, and nothing is right."""
    assert translation_scores(["我爱你们"], ["我爱他们"], tokenize="zh")["bleu"] > 0
    assert translation_scores(["我爱你们"], ["我爱他们"], tokenize="13a")["bleu"] == 0


def test_equal_texts_have_a_hundred():
    scores = translation_scores(REFERENCES, REFERENCES)
    assert scores["bleu"] == pytest.approx(100)
    assert scores["chrf"] == pytest.approx(100)


def test_errors():
    with pytest.raises(UserError, match="Unknown tokenizer of BLEU 'zhh'. .*zh"):
        translation_scores(["a"], ["a"], tokenize="zhh")
    with pytest.raises(UserError, match="Received: 1 hypotheses, 2 references"):
        translation_scores(["a"], ["a", "b"])
    with pytest.raises(UserError, match="one pair at least"):
        translation_scores([], [])
