"""Words and their vectors, and where there are subwords the vectors of all other words, too.

Shapes: N words, D hidden, B buckets.
"""

import dataclasses

import numpy as np

from tflm.errors import UserError
from tflm.text.subwords import Subwords

END_OF_LINE = "</s>"  # fastText's; it has no n-grams.
_WORDS_AT_ONCE = 1 << 12


@dataclasses.dataclass(frozen=True)
class SubwordRows:
    """What fastText makes a word's vector of: the mean of its own row, where it has one, and its n-grams' rows.

    Bojanowski et al. 2017, section 3.2; the mean instead of the sum is what fastText computes. Sums are in its order
    and in its precision, so that they have its bits.

    Attributes:
        subwords: which n-grams a word has, and in which buckets.
        buckets: (B, D) float32.
        own: the words' own rows (N, D) float32, in the order of `WordVectors.words`; None where they are not known.
    """

    subwords: Subwords
    buckets: np.ndarray
    own: np.ndarray | None = None

    def known(self, words: list[str], progress=None) -> np.ndarray:
        """The vectors of the N words that have rows of their own: (N, D).

        Args:
            progress: called as progress("add n-grams", done, total) with counts of words.
        """
        table = self.own.copy()
        for start in range(0, len(words), _WORDS_AT_ONCE):
            block = words[start : start + _WORDS_AT_ONCE]
            self._add_ngrams(block, table[start : start + _WORDS_AT_ONCE], 1)
            if progress is not None:
                progress("add n-grams", start + len(block), len(words))
        return table

    def unknown(self, words: list[str]) -> np.ndarray:
        """The vectors of words from their n-grams alone, 0 for a word without any: (number of words, D)."""
        table = np.zeros((len(words), self.buckets.shape[1]), "float32")
        self._add_ngrams(words, table, 0)
        return table

    def _add_ngrams(self, words, table, rows: int) -> None:
        """Makes means of `table`, which holds the sum of so many rows of each word."""
        ids, splits = self.subwords.of_words(words)
        firsts, sizes = splits[:-1], np.diff(splits)
        sizes[[word == END_OF_LINE for word in words]] = 0
        # One n-gram of each word at a time: np.add.reduceat adds in an order of its own.
        for i in range(sizes.max(initial=0)):
            longer = np.flatnonzero(sizes > i)
            table[longer] += self.buckets[ids[firsts[longer] + i]]
        table *= (1.0 / np.maximum(sizes + rows, 1)).astype("float32")[:, None]


class WordVectors:
    """
    Args:
        words: N different words, of most files the most frequent first.
        table: their vectors (N, D); kept as it is where it is float32.
        counts: how often each word occurred (N,), or None.
        subword_rows: for the vectors of other words, or None.
        notes: what a user should hear about how these vectors were read.

    Attributes:
        ids: word -> its row.

    Raises:
        UserError: for a word that comes twice, and for words and rows of different number.
    """

    def __init__(self, words, table, counts=None, subword_rows=None, notes=()):
        self.words = list(words)
        self.table = np.asarray(table, "float32")
        self.counts = counts
        self.subword_rows: SubwordRows | None = subword_rows
        self.notes: tuple[str, ...] = tuple(notes)
        self.ids = {word: i for i, word in enumerate(self.words)}
        self._lengths = None
        if self.table.ndim != 2 or len(self.table) != len(self.words):
            raise UserError(
                f"{len(self.words)} words need a table of ({len(self.words)}, hidden_dim). "
                f"Received: {self.table.shape}."
            )
        if len(self.ids) != len(self.words):
            twice = next(word for i, word in enumerate(self.words) if self.ids[word] != i)
            raise UserError(f"Words must be different from each other. {twice!r} comes twice.")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        """Whether the word has a vector, be it one of its n-grams."""
        return word in self.ids or self._has_ngrams(word)

    def vector(self, word: str) -> np.ndarray:
        """(D,); UserError for a word that has none."""
        return self.vectors([word])[0]

    def vectors(self, words: list[str]) -> np.ndarray:
        """(number of words, D); UserError, naming it, for a word that has none."""
        rows = np.array([self.ids.get(word, -1) for word in words], np.int64)
        vectors = np.empty((len(words), self.table.shape[1]), "float32")
        known = rows >= 0
        vectors[known] = self.table[rows[known]]
        others = [word for word, is_known in zip(words, known, strict=True) if not is_known]
        for word in others:
            if not self._has_ngrams(word):
                raise UserError(f"{word!r} has no vector: it is not among the {len(self)} words.")
        if others:
            vectors[~known] = self.subword_rows.unknown(others)
        return vectors

    def _has_ngrams(self, word: str) -> bool:
        if self.subword_rows is None or word == END_OF_LINE:
            return False
        return bool(self.subword_rows.subwords.ngrams(word))

    def nearest(self, query, k: int = 10, exclude=()) -> list[tuple[str, float]]:
        """The words of the greatest cosine, the nearest first; of equals the first word.

        Args:
            query: a word, which is not among its own neighbours, or a vector (D,).
            k: how many.
            exclude: words that are not wanted.

        Returns:
            k pairs (word, cosine), fewer where there are fewer words. A vector that is not finite is near nothing.
        """
        exclude = set(exclude)
        if isinstance(query, str):
            exclude.add(query)
            query = self.vector(query)
        query = np.asarray(query, "float32")
        with np.errstate(invalid="ignore", over="ignore"):
            if self._lengths is None:
                squares = np.einsum("nd,nd->n", self.table, self.table)
                self._lengths = np.sqrt(np.where(squares == 0, 1, squares))
            cosines = self.table @ (query / (np.linalg.norm(query) or 1)) / self._lengths
        cosines[np.isnan(cosines)] = -np.inf
        cosines[[self.ids[word] for word in exclude if word in self.ids]] = -np.inf
        best = np.arange(len(cosines))
        if 0 < k < len(cosines):
            best = np.flatnonzero(cosines >= np.partition(cosines, -k)[-k])
        best = best[np.argsort(-cosines[best], kind="stable")][:k]
        return [(self.words[i], float(cosines[i])) for i in best if cosines[i] > -np.inf]
