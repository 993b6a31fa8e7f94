"""Answers of readers that are right, half right and wrong, drawn from a seed: what no data set has belongs to them."""

import random

ENGLISH = [
    *["the", "The", "a", "an", "AN", "cat", "Cat", "cats", "dog.", "dog,", "sat,", "(sat)", "on"],
    *["u.s.", "don't", "3.14", "1,000", "10%", "é", "naïve", "Theatre", "a-b", "—", "’s", "\t"],
    "!",
]
# No full stop between two English words: see tflm/metrics/answers.py.
CHINESE = [
    *"北京上海大学中国一二三",
    *"，。：？！“”；’《》、「」（）－～『』·…—",
    *"-:_*^/\\~`+=(%）\"'",
    *["NBA", "nba", "Windows 10", "3.14", "1,000", "don't", "cannot", "i'm", "é", " ", "  ", "㐀"],
]


def random_questions(count: int, seed: int, language: str = "english"):
    """Predictions and, for each, true answers: one to three, or none for about a fifth of English questions.

    Returns:
        `count` texts, and `count` lists of texts.
    """
    source = random.Random(seed)
    pieces, space = (ENGLISH, " ") if language == "english" else (CHINESE, "")

    def some(most):
        return [source.choice(pieces) for _ in range(source.randrange(most + 1))]

    predictions, answers = [], []
    for _ in range(count):
        answer = some(8)
        begin, end = sorted(source.randrange(len(answer) + 1) for _ in range(2))
        guess = source.choice([answer, answer[begin:end], some(2) + answer[begin:], some(8), []])
        predictions.append(space.join(guess))
        others = [some(8) for _ in range(source.randrange(3))]
        none = language == "english" and source.random() < 0.2
        answers.append([] if none else [space.join(each) for each in [answer, *others]])
    return predictions, answers


def random_no_answer(count: int, seed: int) -> list[float]:
    """A probability of no answer for each question, many of them equal."""
    source = random.Random(seed)
    return [round(source.random(), 2) for _ in range(count)]
