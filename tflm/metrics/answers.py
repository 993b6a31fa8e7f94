"""Exact match and F1 of the answers that a reader takes from a passage, as the data sets' own programs count them.

squad     Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", evaluate-v1.1.py: in
          lower case, without ASCII punctuation and the articles a, an and the; F1 over the bag of the words.
squad_v2  Rajpurkar, Jia and Liang 2018, "Know What You Don't Know: Unanswerable Questions for SQuAD",
          evaluate-v2.0.py: the same, and a question without answers is answered rightly by "" alone.
cmrc      Cui et al. 2019, "A Span-Extraction Dataset for Chinese Machine Reading Comprehension",
          cmrc2018_evaluate.py: in lower case, without the punctuation of CMRC_PUNCTUATION; F1 over the longest run of
          segments that both have, where each Chinese character is a segment and so is each English word.

Of several true answers the best one counts, for either score by itself. The scores of one question go from 0 to 1,
those of a test set from 0 to 100, as the programs print them.

The words of English between the Chinese are NLTK's, as in the program of CMRC, but for one thing: that program first
cuts sentences with a model that has to be downloaded, so that the full stop of a sentence inside a run of English is a
word there and part of a word here. That changes no score of CMRC's own answers.

Shapes: N questions.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from tflm.errors import UserError, unknown_name
from tflm.metrics.translation import check_pairs

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")
CMRC_PUNCTUATION = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
PARTS = re.compile(
    "[\u4e00-\u9fa5]|[^\u4e00-\u9fa5]+"
)  # a Chinese character, or what stands between two


def squad(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of one question by SQuAD v1.1; texts without words have an F1 of 0, even with each other."""
    exact, f1 = zip(*(_squad(prediction, answer, nothing=False) for answer in answers), strict=True)
    return max(exact), max(f1)


def squad_v2(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of one question by SQuAD v2.0; no answers, or none that has words: it has none."""
    answers = [answer for answer in answers if _words(answer)] or [""]
    exact, f1 = zip(*(_squad(prediction, answer, nothing=True) for answer in answers), strict=True)
    return max(exact), max(f1)


def cmrc(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of one question by CMRC 2018."""
    exact, f1 = zip(*(_cmrc(prediction, answer) for answer in answers), strict=True)
    return max(exact), max(f1)


METRICS = {"squad": squad, "squad_v2": squad_v2, "cmrc": cmrc}


def question_scores(
    predictions: Sequence[str], answers: Sequence[Sequence[str]], metric: str = "squad"
) -> np.ndarray:
    """The scores of each question.

    Args:
        predictions: N texts; "" for no answer.
        answers: for each question its true answers; only squad_v2 allows for none.
        metric: one of METRICS.

    Returns:
        (N, 2) float64, from 0 to 1: exact match, F1.

    Raises:
        UserError: for an unknown metric, no questions, another number of answers than of predictions, or a question
            without answers where there must be one.
    """
    if metric not in METRICS:
        raise unknown_name("metric of answers", metric, METRICS)
    check_pairs(predictions, answers)
    if metric != "squad_v2":
        for place, each in enumerate(answers):
            if not each:
                raise UserError(
                    f"Question {place + 1:,} has no answer, which the metric {metric} has no score for: "
                    "use squad_v2, or leave such questions out."
                )
    score = METRICS[metric]
    pairs = zip(predictions, answers, strict=True)
    return np.array([score(prediction, each) for prediction, each in pairs], np.float64)


def answer_scores(
    predictions: Sequence[str], answers: Sequence[Sequence[str]], metric: str = "squad"
) -> dict[str, float]:
    """exact_match and f1 of a test set, from 0 to 100; args and errors as in `question_scores`."""
    exact, f1 = 100 * question_scores(predictions, answers, metric).mean(axis=0)
    return {"exact_match": float(exact), "f1": float(f1)}


def no_answer_scores(
    predictions: Sequence[str],
    answers: Sequence[Sequence[str]],
    no_answer: Sequence[float],
    threshold: float = 1.0,
) -> dict[str, float]:
    """The scores of SQuAD v2.0 of a reader that may say that there is no answer, from 0 to 100.

    Args:
        predictions: N texts, the best answer of each question; "" for none.
        answers: for each question its true answers, [] for none.
        no_answer: (N,) how probable the reader finds that there is none; any number that grows with it will do.
        threshold: where `no_answer` is larger, the answer is taken to be "".

    Returns:
        exact_match, f1: at the threshold.
        has_answer_exact_match, has_answer_f1, no_answer_exact_match, no_answer_f1: of the questions that have answers,
            and of those that have none; missing where there are no such questions.
        best_exact_match, best_exact_match_threshold, best_f1, best_f1_threshold: see `best_threshold`.

    Raises:
        UserError: as `question_scores`, and for another number of `no_answer` than of questions.
    """
    raw = question_scores(predictions, answers, "squad_v2")
    no_answer = np.asarray(no_answer, np.float64)
    if no_answer.shape != (len(raw),):
        raise UserError(
            f"Each of {len(raw):,} questions needs one number for no answer. Received: {no_answer.shape}."
        )
    answerable = np.array([bool(each) for each in answers])
    scores = np.where((no_answer > threshold)[:, None], ~answerable[:, None], raw)
    result = {}
    kinds = {"": slice(None), "has_answer_": answerable, "no_answer_": ~answerable}
    for prefix, chosen in kinds.items():
        if len(scores[chosen]):
            exact, f1 = 100 * scores[chosen].mean(axis=0)
            result |= {f"{prefix}exact_match": float(exact), f"{prefix}f1": float(f1)}
    answered = np.array([bool(prediction) for prediction in predictions])
    for column, name in enumerate(("exact_match", "f1")):
        best, where = best_threshold(raw[:, column], answerable, answered, no_answer)
        result |= {f"best_{name}": 100 * best, f"best_{name}_threshold": where}
    return result


def best_threshold(scores, answerable, answered, no_answer) -> tuple[float, float]:
    """The threshold of `no_answer` with the best mean score, and that score (evaluate-v2.0.py, find_best_thresh).

    Beginning with no question answered, questions are answered one by one as their `no_answer` grows. An answer is
    worth its score; where there is none, answering costs what saying nothing was worth. Of equal `no_answer` the
    questions count in their order and the best may stand between them, as in the official program.

    Args:
        scores: (N,) of the answers, from 0 to 1.
        answerable: (N,) whether a question has answers.
        answered: (N,) whether the reader's text is not empty.
        no_answer: (N,).

    Returns:
        The mean score, from 0 to 1, and the threshold; 0 where it is best to answer nothing.
    """
    scores, no_answer = np.asarray(scores, np.float64), np.asarray(no_answer, np.float64)
    answerable, answered = np.asarray(answerable, bool), np.asarray(answered, bool)
    order = np.argsort(no_answer, kind="stable")
    gains = np.where(answerable, scores, -1.0 * answered)[order]
    totals = (~answerable).sum() + np.concatenate([[0.0], np.cumsum(gains)])
    best = int(totals.argmax())
    return float(totals[best] / len(scores)), float(no_answer[order[best - 1]]) if best else 0.0


def _words(text: str) -> list[str]:
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def _squad(prediction: str, answer: str, nothing: bool) -> tuple[float, float]:
    """Exact match and F1 with one answer; nothing: whether no words are right where there are to be none."""
    ours, theirs = _words(prediction), _words(answer)
    exact = float(ours == theirs)
    if nothing and not (ours and theirs):
        return exact, exact
    return exact, _f1((Counter(ours) & Counter(theirs)).total(), ours, theirs)


def _cmrc(prediction: str, answer: str) -> tuple[float, float]:
    ours, theirs = _without_punctuation(prediction), _without_punctuation(answer)
    exact = float(ours == theirs)
    ours, theirs = _segments(ours), _segments(theirs)
    match = SequenceMatcher(None, ours, theirs, autojunk=False).find_longest_match()
    return exact, _f1(match.size, ours, theirs)


def _f1(common: int, ours: list[str], theirs: list[str]) -> float:
    if not common:
        return 0.0
    precision, recall = common / len(ours), common / len(theirs)
    return 2 * precision * recall / (precision + recall)


def _without_punctuation(text: str) -> str:
    return text.lower().strip().translate(dict.fromkeys(map(ord, CMRC_PUNCTUATION)))


def _segments(text: str) -> list[str]:
    """Chinese characters, and the words of what stands between them."""
    from nltk import word_tokenize

    segments = []
    for part in PARTS.findall(text):
        if "\u4e00" <= part <= "\u9fa5":
            segments.append(part)
        else:
            # preserve_line: without the model of sentences, which would drop the space behind the last one.
            segments += word_tokenize(part.rstrip(), preserve_line=True)
    return segments
