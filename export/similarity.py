"""Do an artifact's vectors still rank pairs of words as the run's do? Spearman's rank correlation of both.

Shapes: V vocabulary, D width.
"""

from pathlib import Path

import numpy as np

from export.thresholds import Thresholds
from tflm.errors import UserError
from tflm.metrics.similarity import similarity_score
from tflm.text.normalize import normalize
from tflm.vectors import WordVectors
from tflm.vectors.of_run import WORD_MARK, of_run

MIN_PAIRS = (
    30  # below, two pairs that change places change the figure more than the threshold allows
)


def names_of(paths: list[str]) -> dict[str, str]:
    """What the sets are called in figures -> their paths: the files' names without endings, where these differ."""
    stems = [Path(path).name.split(".")[0] for path in paths]
    return dict(zip(stems if len(set(stems)) == len(stems) else paths, paths, strict=True))


class SimilaritySets:
    """The sets that the artifacts of a run are measured on. Only words of the vocabulary count, in all artifacts.

    Args:
        run: a tflm.run.Run with word vectors.
        sets: name -> pairs, see `tflm.data.word_sets.read_similarity`.

    Raises:
        UserError: for a set of which the run knows too little to rank anything.
    """

    def __init__(self, run, sets: dict[str, list[tuple[str, str, float]]]):
        steps, tokenizer = run.tokenizer.normalization, run.tokenizer
        self._sets = {
            name: [(normalize(a, steps), normalize(b, steps), score) for a, b, score in pairs]
            for name, pairs in sets.items()
        }
        vectors = of_run(run)
        # FastText's vectors of other words are left out: a .tflite has none.
        vectors = WordVectors(vectors.words, vectors.table)
        self._words = vectors.words
        marked = [tokenizer.token_id(WORD_MARK + word) for word in self._words]
        self._ids = [
            tokenizer.token_id(word) if token_id is None else token_id
            for word, token_id in zip(self._words, marked, strict=True)
        ]
        self._of_run = self._scores(vectors)
        for name, score in self._of_run.items():
            if not np.isfinite(score["spearman"]):
                raise UserError(
                    f"--similarity: of the {score['pairs']} pairs of {name} only {score['found']} are of words that "
                    "this run knows, which cannot be ranked. Give a set in the language of its corpus."
                )

    def of_tokens(self, table) -> dict:
        """`of_words` of the vectors of all tokens (V, D), by their ids."""
        return self.of_words(WordVectors(self._words, table[self._ids]))

    def of_words(self, vectors: WordVectors) -> dict:
        """name -> spearman, spearman_of_run, change, pairs, found.

        Args:
            vectors: the artifact's, of the words of `tflm.vectors.of_run`.
        """
        return {
            name: {
                "spearman": score["spearman"],
                "spearman_of_run": self._of_run[name]["spearman"],
                "change": score["spearman"] - self._of_run[name]["spearman"],
                "pairs": score["pairs"],
                "found": score["found"],
            }
            for name, score in self._scores(vectors).items()
        }

    def _scores(self, vectors) -> dict:
        return {name: similarity_score(vectors, pairs) for name, pairs in self._sets.items()}


def judge(figures: dict, limits: Thresholds) -> list[str]:
    """A sentence for every set whose change is past the threshold; sets of few known pairs are measured alone.

    Args:
        figures: of `SimilaritySets.of_words`.
    """
    return [
        f"Spearman on {name} changes by {score['change']:+.4f}, more than {limits.spearman_change:g}"
        for name, score in figures.items()
        if score["found"] >= MIN_PAIRS and not abs(score["change"]) <= limits.spearman_change
    ]
