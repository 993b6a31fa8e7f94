"""Normalisation that remembers where in the text every character of its result came from.

Each step of `normalize.py` works on the pieces of a text by themselves: on a character, on a run of white space, on a
base character with the marks behind it. So a text is cut into such pieces, each goes through the step alone, and what
comes out of a piece came from all of it.
"""

import functools
import re
import unicodedata

import numpy as np

from tflm.text import normalize


def normalize_with_spans(text: str, names=()) -> tuple[str, np.ndarray]:
    """`normalize.normalize(text, names)`, and its origin.

    Args:
        text: any string.
        names: of `normalize.STEPS`, in order.

    Returns:
        normalized: N characters.
        spans: (N, 2) int32; character i comes from `text[spans[i, 0] : spans[i, 1]]`, which is never empty.
    """
    text = normalize.replace_surrogates(text)  # one for one
    starts = np.arange(len(text), dtype=np.int32)
    spans = np.stack([starts, starts + 1], axis=1)
    for name in names:
        after = normalize.STEPS[name](text)
        if after != text:
            own = _spans_of_step(name, text)
            spans = np.stack([spans[own[:, 0], 0], spans[own[:, 1] - 1, 1]], axis=1)
            text = after
    return text, spans


def _spans_of_step(name: str, text: str) -> np.ndarray:
    """(N, 2) where in `text` the N characters after one step come from."""
    ends, counts = [], []
    for piece in PIECES[name]().finditer(text):
        ends.append(piece.end())
        counts.append(len(normalize.STEPS[name](piece[0])))
    spans = np.stack([[0, *ends[:-1]], ends], axis=1)
    return np.repeat(spans, counts, axis=0)


@functools.cache
def _unicode_pieces(decomposition: str) -> re.Pattern:
    """A character with all behind it that could move before it or melt into it."""
    inner = "".join(map(re.escape, _continuing(decomposition)))
    return re.compile(f"(?s:.)[{inner}]*")


def _continuing(decomposition: str) -> list[str]:
    """The characters that may not begin a piece (UAX #15): normalised, they begin with a mark or with a character
    that is composed with one before it."""
    mapped = [c for c in map(chr, range(0x110000)) if unicodedata.decomposition(c)]
    pairs = (unicodedata.decomposition(char).split() for char in mapped)
    second = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and pair[0][0] != "<"}
    # Hangul vowels and final consonants are composed by arithmetic, not by a table.
    second.update(map(chr, [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]))
    marks = [c for c in map(chr, range(0x110000)) if unicodedata.combining(c)]
    first = {char: unicodedata.normalize(decomposition, char)[0] for char in mapped}
    found = second | set(marks)
    return sorted(found | {char for char, begin in first.items() if begin in found})


# step -> the pattern of the pieces that it works on; together they are the whole text.
PIECES = {
    "nfc": lambda: _unicode_pieces("NFD"),
    "nfkc": lambda: _unicode_pieces("NFKD"),
    "lowercase": lambda: re.compile("(?s:.)"),
    "collapse_whitespace": lambda: re.compile(f"{normalize.WHITESPACE_RUN.pattern}|(?s:.)"),
    "unix_newlines": lambda: re.compile("\r\n|(?s:.)"),
}
