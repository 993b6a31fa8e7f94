"""Word vectors that come in one after the other."""

import numpy as np

from tflm.vectors.word_vectors import WordVectors

MAX_DIM = 1 << 20
_FIRST_BYTES = 1 << 24


class Builder:
    """Collects words and their rows; of a word that comes twice the first row counts.

    Args:
        source: the streams.Source, for its errors.
        dim: D.
        expected: the number of words that the file promises, or None.
        row_bytes: the least that a word takes in the file.
        unicode_errors: what to do with a word that is not UTF-8, as in bytes.decode.

    Raises:
        UserError: for a promise that the file cannot keep.
    """

    def __init__(self, source, dim: int, expected: int | None, row_bytes: int, unicode_errors: str):
        if not 0 < dim <= MAX_DIM:
            raise source.error(f"vectors have 1 to {MAX_DIM} dimensions, not {dim}")
        if expected is not None and expected < 0:
            raise source.error(f"its header promises {expected} words")
        room = max(_FIRST_BYTES // (4 * dim), 1)
        if expected is not None and source.left is not None:
            if expected * row_bytes > source.left:
                raise source.error(
                    f"its header promises {expected} words of {dim} dimensions, for which the "
                    f"{source.left} bytes behind it are too few; get the file once more"
                )
            room = expected
        elif expected is not None:
            room = min(room, expected)
        self._source, self._unicode_errors = source, unicode_errors
        self._table = np.empty((room, dim), "float32")
        self._rows: dict[str, int] = {}
        self._repeated = 0

    @property
    def read(self) -> int:
        """How many rows have come, those of repeated words among them."""
        return len(self._rows) + self._repeated

    def add(self, word: bytes, vector, place: str) -> None:
        """
        Args:
            word: in UTF-8.
            vector: (D,).
            place: where in the file it stands, for the error, e.g. "line 3".
        """
        row = len(self._rows)
        if (
            self._rows.setdefault(decoded(word, self._unicode_errors, self._source, place), row)
            < row
        ):
            self._repeated += 1
            return
        if row == len(self._table):
            shape = (row + row // 2 + 1, self._table.shape[1])
            self._table.resize(shape, refcheck=False)
        self._table[row] = vector

    def finish(self) -> WordVectors:
        """The words and a table without room to spare."""
        self._table.resize((len(self._rows), self._table.shape[1]), refcheck=False)
        return WordVectors(self._rows, self._table, notes=repeated_note(self._repeated))


def decoded(word: bytes, unicode_errors: str, source, place: str) -> str:
    try:
        return word.decode("utf-8", unicode_errors)
    except UnicodeDecodeError as error:
        raise source.error(
            f"the word {word[:100]!r} of {place} is not UTF-8 ({error.reason}); mend it, or read "
            'with unicode_errors="replace"'
        ) from error


def repeated_note(repeated: int) -> tuple[str, ...]:
    if not repeated:
        return ()
    return (f"{repeated} rows were of words that had come before; the first row of each counts.",)
