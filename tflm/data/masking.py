"""Which tokens of a row are hidden from an encoder, and what stands there instead.

Devlin et al. 2019, section 3.1 and appendix A.1: 15 % of the tokens are to be found; of these 80 % are replaced by
[MASK], 10 % by a random token, and 10 % stay. Whole words (as Google's later models have it; Cui et al. 2021,
"Pre-Training with Whole Word Masking for Chinese BERT"): the pieces of a word are chosen together. The masks are drawn
anew for every batch (Liu et al. 2019, "RoBERTa").

Shapes: R rows, T time, P positions that are predicted at most, V vocabulary.
"""

import dataclasses

import numpy as np

from tflm.config import check_choices, check_ranges
from tflm.errors import UserError
from tflm.text.word import jieba_words

WORDS = ("pieces", "jieba", "none")
WORD_MARK = "\u2581"  # SentencePiece: a word begins
CONTINUATION_MARK = "##"  # WordPiece: a word goes on


@dataclasses.dataclass(frozen=True)
class Masking:
    """
    Attributes:
        share: of the tokens that are to be found.
        masked, random: of these, the share that [MASK] stands for, and a random token; the rest stays.
        words: what is chosen as a whole: the words that pieces belong to, those and the words of Chinese that jieba
            finds, or "none" for single tokens.
    """

    share: float = 0.15
    masked: float = 0.8
    random: float = 0.1
    words: str = "pieces"

    def __post_init__(self):
        check_ranges(self, "objective.", share=(0, 1), masked=(0, 1.0001), random=(0, 1.0001))
        check_choices(self, "objective.", words=WORDS)
        if self.masked + self.random > 1:
            raise UserError(
                "`objective.masked` and `objective.random` are shares of one whole, 1 at most together. "
                f"Received: {self.masked} and {self.random}."
            )

    def most(self, length: int) -> int:
        """P, of rows of so many tokens."""
        return max(1, round(self.share * length))


class Masker:
    """Masks rows of tokens.

    Args:
        masking: Masking.
        tokenizer: of tflm.text, one that has a mask_id.

    Raises:
        UserError: for a tokenizer without one, and where jieba is wanted and missing.
    """

    def __init__(self, masking: Masking, tokenizer):
        if tokenizer.mask_id is None:
            raise UserError(
                f"Masked tokens need a tokenizer with [MASK]: tokenizer.kind=wordpiece. Received: {tokenizer.kind}."
            )
        self.masking, self._tokenizer = masking, tokenizer
        pieces = [tokenizer.piece(i) for i in range(tokenizer.vocabulary_size)]
        self._special = np.zeros(len(pieces), bool)
        self._special[[tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id]] = (
            True
        )
        self._special[tokenizer.mask_id] = True
        self._spelled = np.flatnonzero(~self._special)
        self._goes_on = np.array([_goes_on(piece, tokenizer.kind) for piece in pieces])
        self._pieces = [piece.removeprefix(CONTINUATION_MARK) for piece in pieces]
        if masking.words == "jieba":
            jieba_words("")  # a missing package is told at once

    def mask(self, rows: np.ndarray, random: np.random.Generator):
        """
        Args:
            rows: (R, T) int32; special tokens are never chosen.
            random: decides everything.

        Returns:
            The rows with tokens replaced (R, T); the positions (R, P) int32 that are predicted, 0 behind the last;
            what stood there (R, P) int32; and where there is one, (R, P) bool.
        """
        masked = rows.copy()
        shape = (len(rows), self.masking.most(rows.shape[1]))
        positions, labels = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        found = np.zeros(shape, bool)
        for row, tokens in enumerate(rows):
            chosen = self._choose(tokens, random)
            positions[row, : len(chosen)] = chosen
            labels[row, : len(chosen)] = tokens[chosen]
            found[row, : len(chosen)] = True
            masked[row, chosen] = self._replaced(tokens[chosen], random)
        return masked, positions, labels, found

    def _choose(self, tokens: np.ndarray, random) -> np.ndarray:
        """The positions of words drawn one after the other, of as many tokens as there may be; sorted."""
        places = np.flatnonzero(~self._special[tokens])
        if not len(places):
            return places
        words = self._words(tokens, places)
        sizes = np.bincount(words)
        # As many of this row's own tokens: padding and [SEP] are none.
        most = min(self.masking.most(len(places)), self.masking.most(len(tokens)))
        is_chosen, total = np.zeros(len(sizes), bool), 0
        for word in random.permutation(len(sizes)):
            # A word that is too long for what is left is passed over, as in Google's create_pretraining_data.
            if total + sizes[word] <= most:
                is_chosen[word] = True
                total += sizes[word]
                if total == most:
                    break
        return places[is_chosen[words]]

    def _words(self, tokens: np.ndarray, places: np.ndarray) -> np.ndarray:
        """The number of the word that each of `places` belongs to, from 0."""
        if self.masking.words == "none":
            return np.arange(len(places))
        chosen = tokens[places]
        begins = ~self._goes_on[chosen]
        begins |= np.diff(places, prepend=-2) > 1  # behind a special token
        if self.masking.words == "jieba":
            begins &= ~self._inside_chinese_word(chosen, begins)
        begins[0] = True
        return np.cumsum(begins) - 1

    def _inside_chinese_word(self, tokens: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """Where jieba finds a word to go on from the token before: only from one Chinese character to the next."""
        pieces = [self._pieces[token] for token in tokens]
        inside = np.zeros(len(pieces), bool)
        start = 0
        while start < len(pieces):
            end = start
            while end < len(pieces) and _is_chinese(pieces[end]) and (end == start or begins[end]):
                end += 1
            place = start
            for word in jieba_words("".join(pieces[start:end])) if end > start + 1 else ():
                inside[place + 1 : place + len(word)] = True
                place += len(word)
            start = max(end, start + 1)
        return inside

    def _replaced(self, tokens: np.ndarray, random) -> np.ndarray:
        draw = random.random(len(tokens))
        other = random.choice(self._spelled, len(tokens))
        masking = self.masking
        tokens = np.where(draw < masking.masked + masking.random, other, tokens)
        return np.where(draw < masking.masked, self._tokenizer.mask_id, tokens)


def _goes_on(piece: str, kind: str) -> bool:
    """Whether a piece belongs to the word of the piece before it."""
    if kind == "wordpiece":
        return piece.startswith(CONTINUATION_MARK)
    return kind == "sentencepiece" and not piece.startswith(WORD_MARK)


def _is_chinese(piece: str) -> bool:
    return len(piece) == 1 and ("\u4e00" <= piece <= "\u9fff" or "\u3400" <= piece <= "\u4dbf")
