"""The twins of `normalize.py` as TensorFlow ops: (N,) tf.string in and out.

`nfc` and `nfkc` need tensorflow_text; the other steps are plain `tf.strings` ops.
"""

import unicodedata

import tensorflow as tf

from tflm.text import normalize

REPLACEMENT = 0xFFFD


def valid_utf8(strings):
    """Bytes that are not UTF-8 become U+FFFD, exactly as `bytes.decode("utf-8", "replace")`."""
    return tf.strings.unicode_transcode(
        strings, "UTF-8", "UTF-8", errors="replace", replacement_char=REPLACEMENT
    )


def character_class(ranges) -> str:
    """Code point ranges as the inside of an RE2 character class."""
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges)


def unassigned_ranges() -> list[tuple[int, int]]:
    """The code points that the running Python's Unicode version does not know."""
    ranges = []
    for code in range(0x110000):
        if unicodedata.category(chr(code)) != "Cn":
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return [tuple(pair) for pair in ranges]


class _UnicodeForm:
    """ICU's normalisation, held to the characters that Python knows.

    TensorFlow's ICU may know later characters than Python, which leaves them as they are. They are
    cut out before ICU sees the text; a character without properties also ends every composition,
    so normalising the parts between them is what Python does.
    """

    def __init__(self, form: str):
        self.form = form
        self.unknown = f"([{character_class(unassigned_ranges())}]+)"

    def __call__(self, strings):
        import tensorflow_text

        # U+001E marks the cuts and U+001A makes room for it; ICU leaves both alone.
        marked = tf.strings.regex_replace(strings, "\x1a", "\x1a0")
        marked = tf.strings.regex_replace(marked, "\x1e", "\x1a1")
        marked = tf.strings.regex_replace(marked, self.unknown, "\x1e\\1\x1e")
        parts = tf.strings.split(marked, "\x1e")  # (N, parts), every second one is unknown
        normalized = parts.with_flat_values(
            tf.where(
                _positions(parts) % 2 == 1,
                parts.flat_values,
                tensorflow_text.normalize_utf8(parts.flat_values, self.form),
            )
        )
        joined = tf.strings.reduce_join(normalized, axis=-1)
        joined = tf.strings.regex_replace(joined, "\x1a1", "\x1e")
        return tf.strings.regex_replace(joined, "\x1a0", "\x1a")


def _positions(ragged):
    """The column of every flat value of a ragged tensor."""
    columns = tf.range(tf.size(ragged.flat_values, out_type=tf.int64))
    return columns - tf.gather(ragged.row_starts(), ragged.value_rowids())


class CharacterMap:
    """(N, None) ragged int32 code points in and out; a character becomes none, one or several."""

    def __init__(self, table: dict[int, str]):
        self._from = sorted(table)
        self._lengths = [len(table[code]) for code in self._from]
        self._to = [ord(char) for code in self._from for char in table[code]]

    def __call__(self, codes):
        keys, lengths = tf.constant(self._from), tf.constant(self._lengths)
        values = codes.flat_values
        place = tf.minimum(tf.searchsorted(keys, values), len(self._from) - 1)
        is_mapped = tf.gather(keys, place) == values
        counts = tf.where(is_mapped, tf.gather(lengths, place), 1)
        source = tf.repeat(
            tf.range(tf.size(values)), counts
        )  # where each character after came from
        column = tf.range(tf.size(source)) - tf.gather(tf.cumsum(counts, exclusive=True), source)
        into = tf.gather(tf.cumsum(lengths, exclusive=True), tf.gather(place, source)) + column
        after = tf.gather(tf.constant([*self._to, 0]), into)
        after = tf.where(tf.gather(is_mapped, source), after, tf.gather(values, source))
        ends = tf.concat([[0], tf.cumsum(tf.cast(counts, tf.int64))], 0)
        return tf.RaggedTensor.from_row_splits(after, tf.gather(ends, codes.row_splits))


class _Lowercase:
    """A table made from Python's own; `tf.strings.lower` differs and cuts a text at NUL."""

    def __init__(self):
        self._map = CharacterMap(normalize.lowercase_table())

    def __call__(self, strings):
        codes = tf.strings.unicode_decode(strings, "UTF-8", replacement_char=REPLACEMENT)
        return tf.strings.unicode_encode(self._map(codes), "UTF-8")


def _collapse_whitespace(strings):
    pattern = f"[{character_class(normalize.WHITESPACE_RANGES)}]+"
    return tf.strings.regex_replace(strings, pattern, " ")


def _unix_newlines(strings):
    return tf.strings.regex_replace(strings, "\r\n?", "\n")


_STEPS = {
    "nfc": lambda: _UnicodeForm("NFC"),
    "nfkc": lambda: _UnicodeForm("NFKC"),
    "lowercase": _Lowercase,
    "collapse_whitespace": lambda: _collapse_whitespace,
    "unix_newlines": lambda: _unix_newlines,
}


class Normalize:
    """`normalize.normalize(text, names)` for a tensor of strings; invalid UTF-8 is mended first."""

    def __init__(self, names=()):
        self.steps = [_STEPS[name]() for name in names]

    def __call__(self, strings):
        strings = valid_utf8(strings)
        for step in self.steps:
            strings = step(strings)
        return strings
