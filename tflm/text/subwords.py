"""Character n-grams of words, hashed into buckets as fastText hashes them, so that buckets agree with its files.

Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information", section 3.2. What counts as an n-gram is
`Dictionary::computeSubwords` of fastText's dictionary.cc: the word stands between `<` and `>`, which are characters
like others, n counts characters and not bytes, and `<` or `>` alone is none. The hash is 32-bit FNV-1a, but for a quirk
that every file of vectors depends on: a byte is a signed char, so that one above 127 sets the upper 24 bits, too.

The dictionary itself leaves out the n-grams of `</s>`, its name for the end of a line; that is up to the caller.
"""

import dataclasses

import numpy as np

from tflm.config import check_ranges
from tflm.errors import UserError

_OFFSET = np.uint32(2166136261)
_PRIME = np.uint32(16777619)
_BLOCK_CHARACTERS = 1 << 18  # A dozen arrays of this length are alive at once.


@dataclasses.dataclass(frozen=True)
class Subwords:
    """
    Attributes:
        min_n, max_n: characters of an n-gram, from `min_n` (0 is as good as 1) to `max_n`. max_n 0: no n-grams.
        buckets: how many ids there are.
    """

    min_n: int = 3
    max_n: int = 6
    buckets: int = 2_000_000

    def __post_init__(self):
        check_ranges(self, min_n=(0, None), max_n=(0, None), buckets=(1, 2**31))
        if 0 < self.max_n < self.min_n:
            raise UserError(
                "`max_n` must be at least `min_n`, or 0 for no n-grams. "
                f"Received: min_n={self.min_n}, max_n={self.max_n}."
            )

    def ngrams(self, word: str) -> list[str]:
        """The n-grams in the order of `bucket_ids`: by where they begin, then by length."""
        word = f"<{word}>"
        return [
            word[start:end]
            for start in range(len(word))
            for end in range(start + max(self.min_n, 1), min(start + self.max_n, len(word)) + 1)
            if end - start > 1 or 0 < start < len(word) - 1
        ]

    def bucket_ids(self, word: str) -> np.ndarray:
        """(n-grams,) int64, from 0 to buckets - 1."""
        return self.of_words([word])[0].astype(np.int64)

    def of_words(self, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The buckets of many words.

        Args:
            words: N words.

        Returns:
            bucket_ids: (total,) int32, word after word.
            splits: (N + 1,) int64; word i has the ids from splits[i] to splits[i + 1].
        """
        lengths = np.fromiter(map(len, words), np.int64, len(words)) + 2  # with < and >
        splits = np.zeros(len(words) + 1, np.int64)
        longest = min(self.max_n, int(lengths.max(initial=0)))
        for n in range(max(self.min_n, 1), longest + 1):
            splits[1:] += np.maximum(lengths - n + 1, 0) - (2 if n == 1 else 0)
        np.cumsum(splits, out=splits)
        bucket_ids = np.empty(splits[-1], np.int32)
        # A block ends with the word that takes it past a multiple of _BLOCK_CHARACTERS.
        blocks = np.cumsum(lengths) // _BLOCK_CHARACTERS
        ends = [*(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(words)]
        start = 0
        for end in ends if words else []:
            into = bucket_ids[splits[start] : splits[end]]
            self._hash_block(words[start:end], lengths[start:end], into)
            start = end
        return bucket_ids, splits

    def _hash_block(self, words: list[str], lengths: np.ndarray, bucket_ids: np.ndarray) -> None:
        """Fills in the buckets of some words, all their n-grams of one length at a time."""
        text = "".join([f"<{word}>" for word in words]).encode("utf-8", "surrogatepass")
        data = np.frombuffer(text, np.int8)
        # Every byte but those that continue a character, which are 0x80 to 0xBF.
        begins = np.flatnonzero(data >= -64)
        sizes = np.diff(begins, append=len(data))
        data = data.astype(np.uint32)  # sign-extended

        ends = np.cumsum(lengths)  # of words, in characters
        left = np.repeat(ends, lengths) - np.arange(len(begins))  # characters from here to the end
        is_first = np.zeros(len(begins), bool)
        is_first[ends - lengths] = True
        # Where the n-grams that begin at a character go: behind those of all characters before it.
        shortest = max(self.min_n, 1)
        counts = np.maximum(np.minimum(left, self.max_n) - shortest + 1, 0)
        without = (is_first | (left == 1)) & (shortest == 1)  # < and > alone
        counts -= without & (counts > 0)
        places = np.cumsum(counts) - counts - without

        starts = np.arange(len(begins))
        hashes = np.full(len(begins), _OFFSET)
        for n in range(1, self.max_n + 1):
            keep = left[starts] >= n
            starts, hashes = starts[keep], hashes[keep]
            if not len(starts):
                break
            last = starts + n - 1  # the character that n-grams grow by
            first_byte, size = begins[last], sizes[last]
            for byte in range(int(size.max())):
                grows = np.flatnonzero(size > byte) if byte else slice(None)
                hashes[grows] = (hashes[grows] ^ data[first_byte[grows] + byte]) * _PRIME
            if n >= shortest:
                counted = slice(None) if n > 1 else ~without[starts]
                into = places[starts[counted]] + n - shortest
                bucket_ids[into] = hashes[counted] % np.uint32(self.buckets)
