"""Tokenizers that are a plain list of pieces: what characters and words have in common."""

import collections

from tflm.errors import UserError
from tflm.text.tokenizer import SPECIAL_PIECES, Tokenizer, printable

FIRST_PIECE_ID = len(SPECIAL_PIECES)


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


def most_frequent(counts: collections.Counter, config) -> list[str]:
    """The pieces to keep, most frequent first, equal counts in the order of code points.

    Raises:
        UserError: where nothing is left to keep.
    """
    room = config.vocabulary_size - FIRST_PIECE_ID
    if room < 1:
        raise UserError(
            f"`vocabulary_size` must be at least {FIRST_PIECE_ID + 1} for a {config.kind} "
            f"tokenizer. Received: {config.vocabulary_size}."
        )
    if not counts:
        raise UserError(
            f"A {config.kind} tokenizer needs text to be trained on. Received: none; "
            "check the corpus and the normalization."
        )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = [piece for piece, count in ranked[:room] if count >= config.min_count]
    if not kept:
        raise UserError(
            f"`min_count`={config.min_count} leaves nothing: the most frequent piece of the "
            f"training text occurs {ranked[0][1]} times; lower it or give more text."
        )
    return kept
