"""How often each piece of a text occurs, in memory that does not grow with the text."""

from collections.abc import Mapping

# Five million words of ten letters take half a gigabyte (benchmarks/vocabulary.py).
MAX_PIECES = 5_000_000


class PieceCounts:
    """Counts that forget the rarest pieces when there are too many different ones.

    word2vec (ReduceVocab) and gensim (max_vocab_size) do the same, but forget what occurs once, then what occurs
    twice, then three times, whatever the text. Here each time takes the lowest bound that frees half of the room, so
    that counts are as right as that room allows. A piece that comes again starts from nothing: its count may be too
    low, never too high.

    Attributes:
        counts: piece -> how often it was seen.
        dropped: pieces forgotten; one that came again and was forgotten again counts twice.
        too_low_by: the most by which a count may be too low.
    """

    def __init__(self, max_pieces: int = MAX_PIECES):
        self.max_pieces = max_pieces
        self.counts: dict[str, int] = {}
        self.dropped = 0
        self.too_low_by = 0

    def add(self, counts: Mapping[str, int]) -> None:
        """Adds what was counted in more of the text."""
        if len(self.counts) > self.max_pieces:  # before, so that what came last is never forgotten
            self._forget_the_rarest()
        known, total = self.counts.get, self.counts
        for piece, count in counts.items():
            total[piece] = known(piece, 0) + count

    def _forget_the_rarest(self):
        pieces_of_count: dict[int, int] = {}
        for count in self.counts.values():
            pieces_of_count[count] = pieces_of_count.get(count, 0) + 1
        left, bound = len(self.counts), 0
        while left > self.max_pieces // 2:
            bound += 1
            left -= pieces_of_count.get(bound, 0)
        self.dropped += len(self.counts) - left
        self.too_low_by += bound
        self.counts = {piece: count for piece, count in self.counts.items() if count > bound}
