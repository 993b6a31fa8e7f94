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


class _Lowercase:
    """A table made from Python's own; `tf.strings.lower` differs and cuts a text at NUL."""

    def __init__(self):
        table = {c: ord(s) for c, s in normalize.lowercase_table().items() if len(s) == 1}
        self.upper, self.lower = list(table), list(table.values())

    def __call__(self, strings):
        strings = tf.strings.regex_replace(strings, normalize.CAPITAL_I_WITH_DOT, "i\u0307")
        codes = tf.strings.unicode_decode(strings, "UTF-8", replacement_char=REPLACEMENT)
        upper, lower = tf.constant(self.upper), tf.constant(self.lower)
        values = codes.flat_values
        place = tf.minimum(tf.searchsorted(upper, values), len(self.upper) - 1)
        values = tf.where(tf.gather(upper, place) == values, tf.gather(lower, place), values)
        return tf.strings.unicode_encode(codes.with_flat_values(values), "UTF-8")


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
