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
BAG_IDS = "bag_ids"  # (C, M) int32: rows of every word, position after position; only with `bags`
BAG_POSITIONS = "bag_positions"  # (C, M) int32: whose row it is; N + 2w where there is none
NUM_CHUNKS = "num_chunks"  # () int32: the others are empty

SMALLEST_BLOCK = (
    32  # products of blocks this size are fast, and half of what they compute is needed
)
NUM_SPECIAL_IDS = 4  # pad, unk, bos, eos: no words
UNKNOWN_ID = 1
# The most that learning rate * (how often an update of a chunk meets a row that another one has changed) may be.
# Measured on 14 million words of novels: up to 1.5 the vectors are as good as with one pair after the other, 3
# diverges.
MOST_COLLISIONS = 1.5
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
        negatives, learning_rate: bound the size of a chunk, see MOST_COLLISIONS.
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
        negatives: int,
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
        words, drawn = kept / kept.sum(), weights / weights.sum()
        # A word is met by w + 1 words on average (the width is uniform in 1..w), each with its negatives.
        collisions = (window + 1) * (words * (words + negatives * drawn)).sum()
        most = MOST_COLLISIONS / (learning_rate * collisions)
        # A frame looks into its own block and the next one.
        self._block = SMALLEST_BLOCK * -(-2 * window // SMALLEST_BLOCK)
        self.chunk_size = self._block
        while 2 * self.chunk_size <= min(most, LARGEST_CHUNK):
            self.chunk_size *= 2
        # A text may be denser than the average; room that is not used costs no time.
        expected = self.tokens_per_step * kept.sum()
        room = min(1.25 * expected + 8 * expected**0.5, self.tokens_per_step)
        self._num_chunks = int(-(-room // self.chunk_size))
        self._bag_room = 0
        if bags is not None:
            mean_size = float((kept * bags.sizes).sum() / kept.sum())
            room = 1.25 * mean_size * (self.chunk_size + 2 * window)
            # One block of the longest words must fit, whatever the average.
            least = int(bags.sizes.max()) * (self._block + 2 * window)
            self._bag_room = int(-(-max(room, least) // 128)) * 128
            self._num_chunks = int(self._num_chunks * 1.25) + 1

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of `step` (from 0), as the names at the top of this file say."""
        random = np.random.Generator(np.random.Philox(key=[self._seed, step]))
        words, left, right = self._kept_words(step, random)
        starts, ends = self._cut(words)
        size, window = self.chunk_size, self._window
        shape = (self._num_chunks, size)
        places = np.zeros(self._num_chunks, np.int64)
        places[: len(starts)] = starts
        index = places[:, None] + np.arange(size)
        limit = np.zeros(self._num_chunks, np.int64)
        limit[: len(ends)] = ends
        inside = index < limit[:, None]
        reach = np.zeros((self._num_chunks, 2, size), np.int32)
        if len(words):
            index = np.minimum(index, len(words) - 1)
            reach[:, 0] = np.where(inside, left[index], 0)
            reach[:, 1] = np.where(inside, right[index], 0)
        padded = np.zeros(len(words) + size + 2 * window, np.int32)
        padded[window : window + len(words)] = words
        position_ids = padded[places[:, None] + np.arange(size + 2 * window)]
        # What lies beyond a chunk's end is beyond every reach, too; as the pad token it costs no subwords.
        beyond = np.arange(size + 2 * window) >= (limit - places)[:, None] + 2 * window
        position_ids[beyond] = 0
        drawn = random.random((shape[0], size // self._block, self._shared_negatives))
        batch = {
            POSITION_IDS: position_ids,
            NEGATIVE_IDS: np.searchsorted(self._cumulative, drawn).astype(np.int32),
            REACH: reach,
            NUM_CHUNKS: np.asarray(len(starts), np.int32),
        }
        if self._bags is not None:
            batch |= self._bags_of(position_ids)
        return batch

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

    def _cut(self, words: np.ndarray):
        """Where chunks start and end: after N words, or earlier where their subwords would not fit."""
        if self._bags is None:
            starts = np.arange(0, len(words), self.chunk_size)
            ends = np.minimum(starts + self.chunk_size, len(words))
            return starts[: self._num_chunks], ends[: self._num_chunks]
        halo = self._window
        rows = np.concatenate([[0], np.cumsum(self._bags.sizes[words])])
        starts, ends, start = [], [], 0
        while start < len(words) and len(starts) < self._num_chunks:
            last = np.searchsorted(rows, rows[max(start - halo, 0)] + self._bag_room, "right") - 1
            length = min(
                self.chunk_size, max((int(last) - halo - start) // self._block, 1) * self._block
            )
            starts.append(start)
            ends.append(min(start + length, len(words)))
            start += length
        return np.array(starts, np.int64), np.array(ends, np.int64)

    def _bags_of(self, position_ids: np.ndarray) -> dict[str, np.ndarray]:
        bags, (num_chunks, num_positions) = self._bags, position_ids.shape
        sizes = np.where(position_ids < NUM_SPECIAL_IDS, 0, bags.sizes[position_ids])
        ids = np.zeros((num_chunks, self._bag_room), np.int32)
        positions = np.full((num_chunks, self._bag_room), num_positions, np.int32)
        total = sizes.sum(axis=1)
        filled = np.arange(self._bag_room) < total[:, None]
        flat = sizes.ravel()
        ends = np.cumsum(flat)
        offset = np.arange(ends[-1]) - np.repeat(ends - flat, flat)
        ids[filled] = bags.ids[np.repeat(bags.splits[position_ids].ravel(), flat) + offset]
        numbers = np.tile(np.arange(num_positions), num_chunks)
        positions[filled] = np.repeat(numbers, flat)
        return {BAG_IDS: ids, BAG_POSITIONS: positions}


def word_counts(split: TokenSplit, vocabulary_size: int) -> np.ndarray:
    """How often each word occurs, (V,) int64; special tokens count 0. Memory does not grow with the text."""
    counts = np.zeros(vocabulary_size, np.int64)
    for first in range(0, len(split.tokens), 1 << 20):
        block = split.tokens[first : first + (1 << 20)]
        counts += np.bincount(block, minlength=vocabulary_size)
        split.release_pages()
    counts[:NUM_SPECIAL_IDS] = 0
    return counts
