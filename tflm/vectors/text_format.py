"""Vectors as lines of text: a word and its numbers, between single spaces.

word2vec (Mikolov et al. 2013, word2vec.c) and fastText's .vec begin with a line "N D"; GloVe (Pennington et al. 2014)
has none. The numbers are the shortest that give the same float32 again.

Shapes: N words, D hidden.
"""

import itertools
import re
import sys

import numpy as np

from tflm.vectors.builder import MAX_DIM, Builder

_HEADER = re.compile(rb"(-?\d+)[ \t](-?\d+)[ \t]*\r?\n?")
_FIRST_LINE_BYTES = 1 << 24
_WORD_BYTES = 1 << 16
_NUMBER_BYTES = 64
_WRITE_ROWS = 1024


def header(line: bytes) -> tuple[int, int] | None:
    """(N, D) of word2vec's first line; None where it is none."""
    match = _HEADER.fullmatch(line)
    return (int(match[1]), int(match[2])) if match else None


def record(line: bytes, dim: int) -> tuple[bytes, np.ndarray]:
    """A line's word and vector (D,).

    A word may have spaces, which some of GloVe's published files need, where what follows its first one is no number.

    Raises:
        ValueError: what is wrong with the line.
    """
    fields = line.rstrip().split(b" ")
    if len(fields) < dim + 1 or (len(fields) > dim + 1 and _are_numbers(fields[1:-dim])):
        raise ValueError(f"has {len(fields) - 1} numbers instead of {dim}")
    with np.errstate(over="ignore"):
        vector = np.array(fields[-dim:], "float32")
    return b" ".join(fields[:-dim]), vector


def guess_dim(line: bytes) -> int | None:
    """How many numbers follow the first word of a line; None where there is something else."""
    fields = line.rstrip().split(b" ")[1:]
    return len(fields) if fields and len(fields) <= MAX_DIM and _are_numbers(fields) else None


def _are_numbers(fields) -> bool:
    try:
        np.array(fields).astype("float64")
    except ValueError:
        return False
    return True


def read_with_header(source, limit=None, unicode_errors="strict"):
    """word2vec's text and fastText's .vec; see `formats.read`."""
    sizes = header(source.line(_NUMBER_BYTES))
    if sizes is None:
        raise source.error('line 1 must be "N D": how many words there are, and dimensions')
    return _read(source, 2, sizes[1], sizes[0], limit, unicode_errors)


def read_without_header(source, limit=None, unicode_errors="strict"):
    """GloVe's text; see `formats.read`."""
    first = source.line(_FIRST_LINE_BYTES)
    dim = guess_dim(first)
    if dim is None:
        raise source.error("line 1 must be a word and the numbers of its vector")
    return _read(source, 1, dim, None, limit, unicode_errors, [first])


def _read(source, first_line, dim, promised, limit, unicode_errors, lines=()):
    # Of a file that lacks its end the first words can be read all the same.
    wanted = min(x for x in (promised, limit, sys.maxsize) if x is not None)
    expected = None if promised is None else wanted
    builder = Builder(source, dim, expected, 2 * dim, unicode_errors)  # digits, a space each
    line_limit = _WORD_BYTES + _NUMBER_BYTES * dim
    lines = itertools.chain(lines, iter(lambda: source.line(line_limit), b""))
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        if builder.read == wanted:
            if wanted == promised:
                raise source.error(
                    f"line 1 promises {promised} words, line {number} is one more; correct line 1"
                )
            break
        if len(line) == line_limit:
            raise source.error(f"line {number} is too long for a word and {dim} numbers")
        try:
            word, vector = record(line, dim)
        except ValueError as error:
            raise source.error(f"line {number} {_said(error)}") from error
        builder.add(word, vector, f"line {number}")
    if expected is not None and builder.read < expected:
        raise source.error(
            f"line 1 promises {promised} words, but there are {builder.read}; get the file once more"
        )
    return builder.finish()


def _said(error: ValueError) -> str:
    """numpy's "could not convert string to float: b'x'" as the rest of a sentence."""
    problem = str(error)
    _, is_numpy, value = problem.partition("to float: ")
    return f"has {value[:100]} where a number must be" if is_numpy else problem


def write_with_header(stream, names: list[bytes], table, progress) -> None:
    """word2vec's text and fastText's .vec; see `formats.write`."""
    stream.write(b"%d %d\n" % table.shape)
    write_without_header(stream, names, table, progress)


def write_without_header(stream, names: list[bytes], table, progress) -> None:
    """GloVe's text; see `formats.write`."""
    for start in range(0, len(names), _WRITE_ROWS):
        # numpy's shortest digits; the longest are like -1234567800000000.0.
        numbers = table[start : start + _WRITE_ROWS].astype("S24").tolist()
        for name, row in zip(names[start : start + _WRITE_ROWS], numbers, strict=True):
            stream.write(name + b" " + b" ".join(row) + b"\n")
        progress(min(start + _WRITE_ROWS, len(names)))
