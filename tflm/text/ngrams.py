"""A text as a bag of rows of one table, as fastText's classifier sees it: words, word n-grams, character n-grams.

Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification", section 2.2. The rows 0 to V - 1 are the
vocabulary's; behind them are `buckets` rows that all n-grams share. As in fastText's dictionary.cc, a word is hashed by
FNV-1a, a word n-gram by h = h * 116049371 + hash(next word) in 64 bits, and the end of a text is a word.

Unlike there, a word outside of the vocabulary is the word <unk> to the n-grams around it. It has no row of its own, as
there, and no character n-grams, which it has there: what is kept of a text are the ids of its tokens.

Shapes: V vocabulary, N texts, T tokens of all texts together, R rows of all texts together.
"""

import numpy as np

from tflm.text.subwords import Subwords
from tflm.text.tokenizer import BOS_ID, PAD_ID, SPECIAL_PIECES, UNK_ID

_MULTIPLIER = np.uint64(116049371)
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619


def fasttext_hash(word: str) -> int:
    """The hash of dictionary.cc: 32-bit FNV-1a over UTF-8 bytes that are sign-extended first. In [0, 2**32)."""
    value = _FNV_OFFSET
    for byte in word.encode("utf-8", "surrogatepass"):
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * _FNV_PRIME & 0xFFFFFFFF
    return value


class TextBags:
    """From token ids to rows, a whole batch of texts at a time.

    Args:
        pieces: the names of the vocabulary, the special ones included.
        first_bucket: V, the row of the first bucket.
        word_ngrams: words of the longest word n-gram; 1 for none.
        buckets: rows that the n-grams are hashed into.
        subwords: a `tflm.text.subwords.Subwords` of as many buckets, for the character n-grams; None for none.
    """

    def __init__(
        self, pieces: list[str], first_bucket: int, word_ngrams: int, buckets: int, subwords=None
    ):
        self._first_bucket = first_bucket
        self._word_ngrams = word_ngrams
        self._buckets = np.uint64(max(buckets, 1))
        hashes = np.array([fasttext_hash(piece) for piece in pieces], np.uint32)
        # C++ keeps them as int32 and widens them to uint64, which extends the sign.
        self._hashes = hashes.view(np.int32).astype(np.int64).view(np.uint64)
        self._subword_ids = None
        if subwords is not None:
            num_special = len(SPECIAL_PIECES)
            self._subword_ids, splits = subwords.of_words(pieces[num_special:])
            self._subword_splits = np.concatenate([np.zeros(num_special, np.int64), splits])

    def of(self, tokens: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of every text.

        Args:
            tokens: (T,) integers, the texts one after the other; <pad> and <s> count for nothing.
            lengths: (N,), their tokens.

        Returns:
            rows: (R,) int32, text after text; within a text words first, then n-grams.
            sizes: (N,) int64, the rows of each text.
        """
        num_texts = len(lengths)
        texts = np.repeat(np.arange(num_texts), lengths)
        counted = (tokens != BOS_ID) & (tokens != PAD_ID)
        tokens, texts = tokens[counted].astype(np.int64), texts[counted]
        kinds = list(self._kinds(tokens, texts))
        counts = [np.bincount(owners, minlength=num_texts) for _, owners in kinds]
        sizes = np.sum(counts, axis=0)
        rows = np.empty(int(sizes.sum()), np.int32)
        first = np.cumsum(sizes) - sizes  # where the next kind of a text's rows goes
        for (ids, owners), count in zip(kinds, counts, strict=True):
            rank = np.arange(len(ids)) - (np.cumsum(count) - count)[owners]
            rows[first[owners] + rank] = ids
            first = first + count
        return rows, sizes

    def sizes(self, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The second result of `of`."""
        return self.of(tokens, lengths)[1]

    def _kinds(self, tokens, texts):
        """(rows, the text of each), in the order of the texts: of words, of character n-grams, of word n-grams."""
        known = tokens != UNK_ID
        yield tokens[known], texts[known]
        if self._subword_ids is not None:
            yield self._subwords_of(tokens[known], texts[known])
        hashes = self._hashes[tokens]
        values = hashes
        for more in range(1, min(self._word_ngrams, len(tokens))):
            values = values[:-1] * _MULTIPLIER + hashes[more:]
            within = texts[:-more] == texts[more:]
            buckets = (values[within] % self._buckets).astype(np.int64)
            yield self._first_bucket + buckets, texts[:-more][within]

    def _subwords_of(self, tokens, texts):
        first, last = self._subword_splits[tokens], self._subword_splits[tokens + 1]
        counts = last - first
        places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
        ids = self._subword_ids[places].astype(np.int64)
        return self._first_bucket + ids, np.repeat(texts, counts)


def text_bags(config, pieces: list[str]) -> TextBags:
    """The TextBags of a model.

    Args:
        config: a FastTextClassifierConfig.
        pieces: the names of the tokenizer's tokens, in the order of their ids.
    """
    subwords = Subwords(config.min_n, config.max_n, config.buckets) if config.max_n else None
    return TextBags(pieces, config.vocabulary_size, config.word_ngrams, config.buckets, subwords)
