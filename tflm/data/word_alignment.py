"""From words with tags to token ids with labels, and back to a tag for each word.

Every word is encoded by itself, so that no token belongs to two. Where a tokenizer keeps spaces, a word brings along
the one that stands before it, as in running text. The first token of a word carries its label and the others are not
counted, as in BERT (Devlin et al. 2019, section 5.3).

A sentence that is too long is cut between words into windows that overlap. A word in several windows counts once: in
the one where it has most context (context_windows.py).

Shapes: T tokens of a window, W words of it.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tflm.data.context_windows import most_context
from tflm.errors import UserError

# From here on, scripts are written without spaces; as in tflm/text/word.py.
_WITHOUT_SPACES = "\u2e80"


@dataclasses.dataclass(frozen=True)
class WordWindow:
    """A sentence, or a part of it, as a model reads it.

    Attributes:
        token_ids: (T,) int32, `bos, tokens..., eos`.
        heads: (W,) int32, where in `token_ids` each word's first token is.
        first_word: the number of the window's first word in its sentence; the others follow.
        own: (W,) bool, whether a word counts here; every word of the sentence does in exactly one window.
    """

    token_ids: np.ndarray
    heads: np.ndarray
    first_word: int
    own: np.ndarray

    def labels(self, label_ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The label of each token, and whether it counts.

        Args:
            label_ids: of the words of the whole sentence.

        Returns:
            labels: (T,) int32, 0 where no word begins.
            weights: (T,) float32, 1 at the first token of the words that count here, else 0.
        """
        labels = np.zeros(len(self.token_ids), np.int32)
        weights = np.zeros(len(self.token_ids), np.float32)
        labels[self.heads] = label_ids[self.first_word : self.first_word + len(self.heads)]
        weights[self.heads] = self.own
        return labels, weights


class WordTokens(NamedTuple):
    """`head` is the number of the token that carries the label: the first that is no mere space."""

    ids: list[int]
    head: int


def word_windows(
    tokenizer, words: Sequence[str], max_tokens: int, overlap: int
) -> list[WordWindow]:
    """A sentence in windows; one where it fits.

    Args:
        tokenizer: of the model.
        words: at least one.
        max_tokens: of a window, with bos and eos. The one word that has more is cut at its end.
        overlap: tokens that a window shares with the next at most; it is cut between words.
    """
    room = max_tokens - 2
    if not (room > 1 and 0 <= overlap < room):
        raise UserError(
            "A window must have room for bos, eos, two tokens and more than it shares with the next. "
            f"Received: windows of {max_tokens} tokens, {overlap} of them shared."
        )
    pieces = [WordTokens(ids[:room], head) for ids, head in encode_words(tokenizer, words)]
    ends = np.cumsum([len(piece.ids) for piece in pieces])
    items = np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1)  # the tokens of each word
    bounds = _between_words(ends, room, overlap)
    windows = np.array([[items[first, 0], ends[last - 1]] for first, last in bounds])
    owner = most_context(windows, items)
    return [
        _window(tokenizer, pieces[first:last], first, owner[first:last] == number)
        for number, (first, last) in enumerate(bounds)
    ]


def join_windows(windows: Sequence[WordWindow], values: Sequence[np.ndarray]) -> np.ndarray:
    """What was found for the words of windows, as one array for the sentence.

    Args:
        windows: all those of a sentence, as `word_windows` gave them.
        values: for each, (W, ...) of its words: what a model gave at `heads`.

    Returns:
        (words of the sentence, ...), each from the window where it counts.
    """
    order = np.concatenate([w.first_word + np.flatnonzero(w.own) for w in windows])
    found = np.concatenate([v[w.own] for w, v in zip(windows, values, strict=True)])
    return found[np.argsort(order)]


def encode_words(tokenizer, words: Sequence[str]) -> list[WordTokens]:
    """The tokens of each word, at least one: <unk> for a word of which the tokenizer drops all."""
    space = tokenizer.encode(" ")
    texts = spaced(words) if space else list(words)
    encoded = []
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        ids = [int(token_id) for token_id in ids] or [tokenizer.unk_id]
        is_space = text[:1] == " " and len(ids) > 1 and ids[:1] == space
        encoded.append(WordTokens(ids, int(is_space)))
    return encoded


def spaced(words: Sequence[str]) -> list[str]:
    """The words, each with the space before it that running text would have: joined, they are a sentence.

    There is none beside Chinese and its kin, nor between single characters where there is such: a set that tags
    characters has the letters of a word in Latin script one by one.
    """
    by_character = any(char >= _WITHOUT_SPACES for word in words for char in word)
    texts = list(words[:1])
    for before, word in zip(words, words[1:], strict=False):
        touching = max(before[-1:], word[:1]) >= _WITHOUT_SPACES
        letters = by_character and len(before) == len(word) == 1
        texts.append(word if touching or letters else f" {word}")
    return texts


def _between_words(ends: np.ndarray, room: int, overlap: int) -> list[tuple[int, int]]:
    """[first, last) words of each window; `ends` are the tokens up to each word's end."""
    bounds, first = [], 0
    starts = np.concatenate([[0], ends])
    while True:
        last = int(np.searchsorted(ends, starts[first] + room, side="right"))
        bounds.append((first, last))
        if last == len(ends):
            return bounds
        # What is repeated must leave room for the next word.
        repeated = min(overlap, room - (ends[last] - starts[last]))
        first = int(np.searchsorted(starts, starts[last] - repeated))


def _window(tokenizer, pieces: list[WordTokens], first_word: int, own: np.ndarray) -> WordWindow:
    token_ids, heads = [tokenizer.bos_id], []
    for ids, head in pieces:
        heads.append(len(token_ids) + head)
        token_ids += ids
    token_ids.append(tokenizer.eos_id)
    return WordWindow(np.array(token_ids, np.int32), np.array(heads, np.int32), first_word, own)
