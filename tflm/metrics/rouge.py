"""ROUGE of summaries, by rouge-score; Chinese, which it would drop, by characters or by jieba's words.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries".
"""

import importlib.metadata
import re
from collections.abc import Sequence

from tflm.errors import unknown_name
from tflm.metrics.translation import check_pairs
from tflm.text.word import jieba_words

TYPES = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rouge_l"}
WORDS = ("words", "characters", "jieba")
SENTENCE = re.compile(r".*?(?:[.!?](?=\s)|[。！？\n]|$)\s*", re.DOTALL)


def check_words(name: str) -> None:
    """Raises UserError for a name that is none of WORDS."""
    if name not in WORDS:
        raise unknown_name("unit of ROUGE", name, WORDS)


def rouge_scores(
    hypotheses: Sequence[str], references: Sequence[str], words: str = "words"
) -> dict:
    """F1 from 0 to 100, the mean over the pairs; more is better.

    Args:
        hypotheses, references: texts, as many of the one as of the other.
        words: what is counted: "words" are runs of a-z and 0-9 in lower case by their Porter stems, as in the original
            ROUGE with -m; "characters" are all that are no white space, in lower case; "jieba" are words by jieba
            (extra `zh`), in lower case.

    Returns:
        rouge1, rouge2, rouge_l, rouge_signature.

    Raises:
        UserError: for unknown `words`, no texts at all, or another number of references than of hypotheses.
    """
    from rouge_score.rouge_scorer import RougeScorer

    check_words(words)
    check_pairs(hypotheses, references)
    tokenizer = None if words == "words" else _Tokenizer(words)
    scorer = RougeScorer(list(TYPES), use_stemmer=True, tokenizer=tokenizer)
    sums = dict.fromkeys(TYPES, 0.0)
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        for name, score in scorer.score(reference, hypothesis).items():
            sums[name] += score.fmeasure
    means = {ours: 100 * sums[name] / len(references) for name, ours in TYPES.items()}
    version = importlib.metadata.version("rouge-score")
    unit = "words|stem:porter" if words == "words" else f"{words}|stem:no"
    return {**means, "rouge_signature": f"measure:f1|unit:{unit}|case:lc|rouge-score:{version}"}


class _Tokenizer:
    """What rouge-score asks for tokens."""

    def __init__(self, words: str):
        self._cut = jieba_words if words == "jieba" else _characters

    def tokenize(self, text: str) -> list[str]:
        return self._cut(text.lower())


def _characters(text: str) -> list[str]:
    return [character for character in text if not character.isspace()]


def lead(text: str, sentences: int = 1) -> str:
    """The first sentences of a text: the baseline that a summary must beat. A line break ends a sentence, too."""
    found = [match.strip() for match in SENTENCE.findall(text)]
    return " ".join([sentence for sentence in found if sentence][:sentences])
