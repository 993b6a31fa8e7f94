"""Nearest words by the cosine of their vectors.

Shapes: V vocabulary, D hidden, N words.
"""

import dataclasses
import unicodedata

import numpy as np

COUNTED_TOKENS = 20_000_000  # of the training text; enough to know which words are frequent
MIN_LETTERS = 3  # shorter pieces of an alphabet are syllables and endings more often than words
CLEAR_LETTERS = 5  # the shorter words that are frequent are mostly function words
MIN_COUNT = 5  # the vector of a rarer token is hardly trained
WORD_MARK = "\u2581"  # SentencePiece's space in front of a word


@dataclasses.dataclass
class Word:
    """A token that is a word: its id and how often the training text has it."""

    token_id: int
    count: int


def words_of(tokenizer, split) -> dict[str, Word]:
    """The tokens that stand for a word, the most frequent first.

    Left out are special tokens, anything but letters, pieces with fewer than MIN_LETTERS (one letter is a word in
    scripts without spaces), and tokens that the text has fewer than MIN_COUNT times. Where a word is a token with a
    space before it and another without, it is the one with the space; under SentencePiece a word begins with one.

    Args:
        tokenizer: a tflm.text tokenizer.
        split: the training split.
    """
    counts = _counts(split.tokens, tokenizer.vocabulary_size)
    pieces = [tokenizer.piece(i) for i in range(tokenizer.vocabulary_size)]
    marks_words = any(piece.startswith(WORD_MARK) for piece in pieces)
    words = {}
    for token_id in np.argsort(-counts, kind="stable"):
        piece, count = pieces[token_id], int(counts[token_id])
        if count < MIN_COUNT:
            break
        text = piece.removeprefix(WORD_MARK)
        if not _is_word(text):  # nor is a special piece: it stands in brackets
            continue
        if marks_words and not piece.startswith(WORD_MARK) and not _has_no_spaces(text):
            continue  # the end of some longer word
        words.setdefault(text, Word(int(token_id), count))
    return words


def choose_words(vocabularies: list[dict[str, Word]], number: int) -> list[str]:
    """Frequent words, those that all vocabularies share before others.

    Args:
        vocabularies: of `words_of`; the order of the first one that has words decides.
        number: the most to choose.
    """
    with_words = [words for words in vocabularies if words]
    if not with_words:
        return []
    first, others = with_words[0], with_words[1:]
    shared = [word for word in first if all(word in words for words in others)]
    rest = [word for word in first if word not in set(shared)]
    ranked = [*(w for w in shared if _is_clear(w)), *(w for w in rest if _is_clear(w)), *shared]
    return list(dict.fromkeys([*ranked, *rest]))[:number]


def nearest_words(
    vectors: np.ndarray, words: dict[str, Word], wanted: list[str], number: int
) -> list[tuple[str, list[tuple[str, float]]]]:
    """For every wanted word that has a vector, the nearest other words with their cosines.

    Args:
        vectors: (V, D).
        words: of `words_of`.
        wanted: words; those not in `words` are left out.
        number: neighbours of each.
    """
    names = list(words)
    table = np.asarray(vectors, "float32")[[words[name].token_id for name in names]]  # (N, D)
    table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    places = {name: place for place, name in enumerate(names)}
    result = []
    for word in wanted:
        if word not in places:
            continue
        cosines = table @ table[places[word]]  # (N,)
        cosines[places[word]] = -np.inf
        best = np.argsort(-cosines, kind="stable")[: min(number, len(names) - 1)]
        result.append((word, [(names[i], float(cosines[i])) for i in best]))
    return result


def _counts(tokens, vocabulary_size: int) -> np.ndarray:
    counts = np.zeros(vocabulary_size, "int64")
    for first in range(0, min(len(tokens), COUNTED_TOKENS), 1 << 20):
        counts += np.bincount(tokens[first : first + (1 << 20)], minlength=vocabulary_size)
    return counts


def _is_word(text: str) -> bool:
    # Marks belong to letters in many scripts (Devanagari's vowels, for one).
    if not text or not all(unicodedata.category(char)[0] in "LM" for char in text):
        return False
    return len(text) >= MIN_LETTERS or _has_no_spaces(text)


def _is_clear(text: str) -> bool:
    if _has_no_spaces(text):
        return len(text) >= 2
    return len(text) >= CLEAR_LETTERS


def _has_no_spaces(text: str) -> bool:
    """Whether it is of a script that is written without spaces between words: Chinese, Japanese, and Thai's kin."""
    names = (unicodedata.name(char, "") for char in text)
    return bool(text) and all(
        name.startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"))
        for name in names
    )
