"""Text as negative sampling reads it: chunks of words with the reach of each word's window, and negatives.

A batch is B windows of the shuffled text (see `ShuffledWindows`), and what is left of them after subsampling is laid
out in chunks, so that the work on a chunk is a few matrix products over blocks of L words (numbers for L = 4, w = 2):

    positions of a chunk     h h | a b c d | e f g h | ... | t t       N words and a halo of w on both sides
    block 0 meets            [ h   h   a   b   c   d   e   f ]         L + 2w words, its frame
    block 1 meets                    [ c   d   e   f   g   h ...

A word's window ends where its document or its piece of the text ends, so `reach` says how far it goes to each side.
The words of a chunk are learnt from at once, its successors after it: many words a chunk are fast, too many diverge,
because the most frequent word gets the sum of updates that were all computed before any of them was made.

Mikolov et al. 2013b, "Distributed Representations of Words and Phrases and their Compositionality": section 2.2
(negatives from the unigram distribution to the power 3/4), 2.3 (subsampling); the dynamic window is that of
word2vec.c: a width uniform in 1..window for each word. What is subsampled or unknown is taken out before windows are
laid, as there.

Shapes: C chunks of a batch, N words a chunk, L words a block, w window, K negatives a block, M rows of subwords a
chunk.
"""

import numpy as np

from tflm.data.store import TokenSplit
from tflm.data.windows import ShuffledWindows
from tflm.errors import UserError
from tflm.text.bags import Bags

POSITION_IDS = "position_ids"  # (C, N + 2w) int32
NEGATIVE_IDS = "negative_ids"  # (C, N / L, K) int32
REACH = "reach"  # (C, 2, N) int32: words of the window to the left and to the right
# Only with `bags`. A word that a chunk has more than once is made of its rows once, where it stands first.
FIRST_POSITIONS = "first_positions"  # (C, N + 2w) int32: where each position's word stands first
BAG_SIZES = "bag_sizes"  # (C, N + 2w) float32: rows of each position's word
BAG_IDS = "bag_ids"  # (C, M) int32: the rows of every first position
BAG_POSITIONS = "bag_positions"  # (C, M) int32: whose row it is; N + 2w where there is none
NUM_CHUNKS = "num_chunks"  # (1,) int32: the others are empty

SMALLEST_BLOCK = (
    32  # products of blocks this size are fast, and half of what they compute is needed
)
NUM_SPECIAL_IDS = 4  # pad, unk, bos, eos: no words
UNKNOWN_ID = 1
# The most that learning rate * (w + 1) * `repeats` of a chunk may be. Measured on 14 million words of novels: at 0.7
# the vectors are as good as with one pair after the other, for words and for subwords; at 1 they diverge.
MOST_REPEATS = 0.7
LARGEST_CHUNK = 1024


class WordChunks:
    """Batch k as a function of (split, seed, k).

    Args:
        split: whose tokens to read.
        vocabulary_size: V.
        window: w.
        sequence_length, batch_size, seed: of the windows of text; a batch has B * T tokens before subsampling.
        subsample: words more frequent than this share of the text are skipped at random; 0 for none.
        power: of the unigram distribution that negatives are drawn from.
        shared_negatives: K.
        learning_rate: bounds the size of a chunk, see MOST_REPEATS.
        bags: None where a word is one row.

    Attributes:
        chunk_size: N.
        steps_per_epoch, tokens_per_step: of the text before subsampling.

    Raises:
        UserError: for a split that is too short, or has no words.
    """

    def __init__(
        self,
        split: TokenSplit,
        vocabulary_size: int,
        window: int,
        sequence_length: int,
        batch_size: int,
        seed: int,
        subsample: float,
        power: float,
        shared_negatives: int,
        learning_rate: float,
        bags: Bags | None = None,
    ):
        self._windows = ShuffledWindows(split, sequence_length, batch_size, seed)
        self.steps_per_epoch = self._windows.steps_per_epoch
        self.tokens_per_step = self._windows.tokens_per_step
        self._split, self._seed, self._bags = split, seed, bags
        self._sequence_length, self._window = sequence_length, window
        self._shared_negatives = shared_negatives
        counts = word_counts(split, vocabulary_size).astype("float64")
        if not counts.any():
            raise UserError(f"The {split.name} split has no known word. Give more text.")
        weights = counts**power
        self._cumulative = np.cumsum(weights) / weights.sum()
        share = counts / counts.sum()
        self._keep = np.ones_like(share)
        if subsample:
            with np.errstate(divide="ignore", invalid="ignore"):
                # word2vec.c's form of section 2.3
                keep = np.sqrt(subsample / share) + subsample / share
            self._keep = np.where(share > 0, np.minimum(keep, 1), 0)
        self._keep[:NUM_SPECIAL_IDS] = 0
        kept = share * self._keep
        words = kept / kept.sum()
        # A word is met by w + 1 words on average (the width is uniform in 1..w).
        self._most_repeats = MOST_REPEATS / (learning_rate * (window + 1))
        # A frame looks into its own block and the next one.
        self._block = SMALLEST_BLOCK * -(-2 * window // SMALLEST_BLOCK)
        self.chunk_size = self._block
        some = self._kept_words(0, np.random.Generator(np.random.Philox(key=[seed, 0])))[0]
        while self.chunk_size < LARGEST_CHUNK and self._suits(2 * self.chunk_size, some):
            self.chunk_size *= 2
        # Room that is not used costs no time. What is beyond it is left out: it would take a batch of far more words
        # than expected, or one that is nothing but repetitions.
        expected = self.tokens_per_step * kept.sum()
        room = min(1.25 * expected + 8 * expected**0.5, self.tokens_per_step)
        self._num_chunks = 32 + 2 * int(-(-room // self.chunk_size))
        if bags is not None:
            num_positions = self.chunk_size + 2 * window
            rows = ((1 - (1 - words) ** num_positions) * bags.sizes).sum()
            # One block of the longest words must fit, whatever the average.
            least = int(bags.sizes.max()) * (self._block + 2 * window)
            self._bag_room = int(-(-max(1.2 * rows, least) // 128)) * 128

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of `step` (from 0), as the names at the top of this file say."""
        random = np.random.Generator(np.random.Philox(key=[self._seed, step]))
        words, left, right = self._kept_words(step, random)
        starts, ends = self._cut(words)
        size, window, used = self.chunk_size, self._window, len(starts)
        index = starts[:, None] + np.arange(size)
        inside = index < ends[:, None]
        index = np.minimum(index, max(len(words) - 1, 0))
        reach = np.zeros((used, 2, size), np.int32)
        reach[:, 0] = np.where(inside, left[index], 0)
        reach[:, 1] = np.where(inside, right[index], 0)
        padded = np.zeros(len(words) + size + 2 * window, np.int32)
        padded[window : window + len(words)] = words
        places = np.arange(size + 2 * window)
        position_ids = padded[starts[:, None] + places]
        # What lies beyond a chunk's end is beyond every reach, too; as the pad token it costs no subwords.
        position_ids[places >= (ends - starts)[:, None] + 2 * window] = 0
        drawn = random.random((used, size // self._block, self._shared_negatives))
        batch = {
            POSITION_IDS: position_ids,
            NEGATIVE_IDS: np.searchsorted(self._cumulative, drawn).astype(np.int32),
            REACH: reach,
        }
        if self._bags is not None:
            batch |= self._bags_of(position_ids)
        empty = self._num_chunks - used
        batch = {
            name: np.concatenate([value, np.zeros((empty, *value.shape[1:]), value.dtype)])
            for name, value in batch.items()
        }
        return batch | {NUM_CHUNKS: np.array([used], np.int32)}

    def _kept_words(self, step: int, random):
        """The words that subsampling leaves, and how far each window reaches to both sides."""
        starts = self._windows.starts(step)
        places = (starts[:, None] + np.arange(self._sequence_length)) % len(self._split.tokens)
        tokens = np.asarray(self._split.tokens[places], np.int32)
        self._split.release_pages()
        ends_text = (tokens < NUM_SPECIAL_IDS) & (tokens != UNKNOWN_ID)
        ends_text[:, 0] = True  # a window of the text is a piece of its own
        piece = np.cumsum(ends_text.ravel())
        tokens = tokens.ravel()
        kept = random.random(tokens.size, np.float32) < self._keep[tokens]
        words, piece = tokens[kept], piece[kept]
        first = np.flatnonzero(np.diff(piece, prepend=-1))
        lengths = np.diff(first, append=len(words))
        before = np.arange(len(words)) - np.repeat(first, lengths)
        after = np.repeat(lengths, lengths) - 1 - before
        width = random.integers(1, self._window + 1, len(words))
        return words, np.minimum(width, before), np.minimum(width, after)

    def _suits(self, size: int, words: np.ndarray) -> bool:
        """Whether nine of ten chunks of that size repeat no word too often."""
        starts = range(0, max(len(words) - size, 0) + 1, size)
        return (
            np.quantile([repeats(words[s : s + size]) for s in starts], 0.9) <= self._most_repeats
        )

    def _cut(self, words: np.ndarray):
        """Where chunks start and end: after N words, or earlier where they repeat words or need too many rows."""
        open_starts = np.arange(0, len(words), self.chunk_size)
        open_ends = np.minimum(open_starts + self.chunk_size, len(words))
        starts, ends = [open_starts[:0]], [open_ends[:0]]
        while len(open_starts):
            too_much = np.array(
                [
                    self._is_too_much(words, *bounds)
                    for bounds in zip(open_starts, open_ends, strict=True)
                ],
                bool,
            )
            starts.append(open_starts[~too_much])
            ends.append(open_ends[~too_much])
            open_starts, open_ends = open_starts[too_much], open_ends[too_much]
            blocks = np.maximum((open_ends - open_starts) // self._block // 2, 1)
            middles = open_starts + blocks * self._block
            open_starts = np.append(open_starts, middles)
            open_ends = np.append(middles, open_ends)
        starts, ends = np.sort(np.concatenate(starts)), np.sort(np.concatenate(ends))
        return starts[: self._num_chunks], ends[: self._num_chunks]

    def _is_too_much(self, words: np.ndarray, start: int, end: int) -> bool:
        if end - start <= self._block:
            return False
        if repeats(words[start:end]) > self._most_repeats:
            return True
        return self._bags is not None and self._num_rows(words, start, end) > self._bag_room

    def _num_rows(self, words: np.ndarray, start: int, end: int) -> int:
        seen = words[max(start - self._window, 0) : end + self._window]
        return int(self._bags.sizes[np.unique(seen)].sum())

    def _bags_of(self, position_ids: np.ndarray) -> dict[str, np.ndarray]:
        bags, (num_chunks, num_positions) = self._bags, position_ids.shape
        chunk = np.arange(num_chunks)[:, None]
        # The same word of another chunk is another one.
        keys = position_ids + chunk * np.int64(len(bags.splits))
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        first_positions = first[inverse].reshape(position_ids.shape) - chunk * num_positions
        sizes = np.where(position_ids < NUM_SPECIAL_IDS, 0, bags.sizes[position_ids])
        own = np.where(first_positions == np.arange(num_positions), sizes, 0)
        flat = own.ravel()
        ends = np.cumsum(flat)
        offset = np.arange(flat.sum()) - np.repeat(ends - flat, flat)
        filled = np.arange(self._bag_room) < own.sum(axis=1)[:, None]
        ids = np.zeros((num_chunks, self._bag_room), np.int32)
        ids[filled] = bags.ids[np.repeat(bags.splits[position_ids].ravel(), flat) + offset]
        positions = np.full((num_chunks, self._bag_room), num_positions, np.int32)
        positions[filled] = np.repeat(np.tile(np.arange(num_positions), num_chunks), flat)
        return {
            FIRST_POSITIONS: first_positions.astype(np.int32),
            BAG_SIZES: sizes.astype(np.float32),
            BAG_IDS: ids,
            BAG_POSITIONS: positions,
        }


def repeats(words: np.ndarray) -> float:
    """How often a word of the chunk stands in it, on average over its words: what its rows are changed by at once."""
    if not len(words):
        return 0.0
    words = np.sort(words)
    last = np.append(np.flatnonzero(words[1:] != words[:-1]), len(words) - 1)
    counts = np.diff(last, prepend=-1)
    return float(counts.dot(counts) / len(words))


def word_counts(split: TokenSplit, vocabulary_size: int) -> np.ndarray:
    """How often each word occurs, (V,) int64; special tokens count 0. Memory does not grow with the text."""
    counts = np.zeros(vocabulary_size, np.int64)
    for first in range(0, len(split.tokens), 1 << 20):
        block = split.tokens[first : first + (1 << 20)]
        counts += np.bincount(block, minlength=vocabulary_size)
        split.release_pages()
    counts[:NUM_SPECIAL_IDS] = 0
    return counts
