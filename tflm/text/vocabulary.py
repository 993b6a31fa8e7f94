"""Tokenizers that are a plain list of pieces: what characters and words have in common."""

import abc
import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping

from tflm.errors import UserError
from tflm.text import piece_counts
from tflm.text.normalize import normalize
from tflm.text.tokenizer import SPECIAL_PIECES, Tokenizer, no_text, printable

FIRST_PIECE_ID = len(SPECIAL_PIECES)
BATCH_CHARACTERS = 1 << 20


class VocabularyTokenizer(Tokenizer):
    """Piece number i of the list has the id i + 4; any other piece is <unk>."""

    spells_everything = False

    def __init__(self, pieces: list[str], normalization=()):
        super().__init__(normalization)
        self.pieces = pieces
        self.ids = {piece: i for i, piece in enumerate(pieces, FIRST_PIECE_ID)}
        if len(self.ids) != len(pieces):
            raise UserError("'pieces' must be different from each other.")
        for special in SPECIAL_PIECES:
            if special in self.ids:
                raise UserError(f"'pieces' must not hold the special piece {special}.")
        # The names of pieces that do not print, so that `token_id` undoes `piece`.
        self._ids_by_name = {
            printable(piece): i for piece, i in self.ids.items() if printable(piece) != piece
        }

    @classmethod
    @abc.abstractmethod
    def counter(cls, config):
        """A function that gives the Counter of the pieces of normalised texts, list[str]; it can be pickled."""

    @classmethod
    @abc.abstractmethod
    def of_pieces(cls, pieces: list[str], config) -> "VocabularyTokenizer":
        """The tokenizer of `config` with these pieces."""

    @classmethod
    def train(cls, config, texts, map_batches, say):
        room = config.vocabulary_size - FIRST_PIECE_ID
        if room < 1:
            raise UserError(
                f"`vocabulary_size` must be at least {FIRST_PIECE_ID + 1} for a {config.kind} "
                f"tokenizer. Received: {config.vocabulary_size}."
            )
        counts = count_pieces(cls.counter(config), config.kind, config, texts, map_batches, say)
        for special in SPECIAL_PIECES:
            counts.pop(special, None)
        return cls.of_pieces(_ranked(counts, config)[:room], config)

    @property
    def vocabulary_size(self) -> int:
        return FIRST_PIECE_ID + len(self.pieces)

    def piece(self, token_id):
        if not 0 <= token_id < self.vocabulary_size:
            raise UserError(f"Token ids are 0 to {self.vocabulary_size - 1}. Received: {token_id}.")
        if token_id < FIRST_PIECE_ID:
            return SPECIAL_PIECES[token_id]
        return printable(self.pieces[token_id - FIRST_PIECE_ID])

    def token_id(self, piece):
        if piece in SPECIAL_PIECES:
            return SPECIAL_PIECES.index(piece)
        return self.ids.get(piece, self._ids_by_name.get(piece))


def count_pieces(counter, name: str, config, texts, map_batches, say) -> dict[str, int]:
    """How often each piece occurs in `texts`, in memory that does not grow with them.

    Args:
        counter: as `VocabularyTokenizer.counter` gives it.
        name: what a piece is called.
        config: a TokenizerConfig.
        texts, map_batches, say: those of `tflm.text.tokenizer.train`.
    """
    count = functools.partial(_count, counter, config.normalization)
    found = piece_counts.PieceCounts(piece_counts.MAX_PIECES)
    # Closed at once after an error, or worker processes would wait for its traceback to go.
    with contextlib.closing(map_batches(count, _batches(texts))) as parts:
        for part in parts:
            found.add(part)
    if found.dropped:
        say(
            f"The text has more than {found.max_pieces:,} different {name}s; {found.dropped:,} of the "
            f"rarest were dropped while counting. Counts may be too low by up to {found.too_low_by}, and a "
            f"{name} that occurs less than {config.min_count + found.too_low_by} times may be missing."
        )
    return found.counts


def _count(counter, normalization, texts: list[str]):
    return counter([normalize(text, normalization) for text in texts])


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _ranked(counts: Mapping[str, int], config) -> list[str]:
    """The pieces that are not too rare, most frequent first, equal counts in the order of code points."""
    if not counts:
        raise no_text(config.kind)
    # Two sorts, the second of which keeps the order of equals: pairs to sort by would be larger than the counts.
    ranked = sorted(piece for piece, count in counts.items() if count >= config.min_count)
    ranked.sort(key=counts.__getitem__, reverse=True)
    if not ranked:
        raise UserError(
            f"`min_count`={config.min_count} leaves nothing: the most frequent piece of the "
            f"training text occurs {max(counts.values())} times; lower it or give more text."
        )
    return ranked
