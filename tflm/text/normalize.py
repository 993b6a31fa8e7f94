"""Normalisation: small pure functions from text to text, named so that a config can list them.

Every step has a twin in `normalize_in_graph.py` that gives the same result for every string of
Unicode characters. `lowercase` is therefore defined character by character (`str.lower` looks at
the neighbours of a capital sigma), and `nfc` and `nfkc` follow the Unicode version of the running
Python, which a tokenizer's fingerprint includes.
"""

import functools
import re
import unicodedata

from tflm.errors import unknown_name

# What `str.isspace` calls white space; spelled out because RE2's \s knows ASCII only.
WHITESPACE_RANGES = (
    (0x09, 0x0D),
    (0x1C, 0x20),
    (0x85, 0x85),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
WHITESPACE_RUN = re.compile(
    "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in WHITESPACE_RANGES) + "]+"
)
_SURROGATES = re.compile("[\ud800-\udfff]")


def replace_surrogates(text: str) -> str:
    """Lone surrogates, which no encoding can carry, become U+FFFD; all other text is unchanged.

    They come from JSON escapes such as `"\\ud800"`. In the graph the same is done to bytes that are
    not UTF-8, as `bytes.decode("utf-8", "replace")` does it.
    """
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def nfc(text: str) -> str:
    """Unicode canonical composition (UAX #15)."""
    return unicodedata.normalize("NFC", text)


def nfkc(text: str) -> str:
    """Unicode compatibility composition (UAX #15): full-width letters, ligatures and the like."""
    return unicodedata.normalize("NFKC", text)


def lowercase(text: str) -> str:
    """Every character's own lower case; a final capital sigma becomes a plain small sigma."""
    # `str.lower` looks around a capital sigma only, and is ten times as fast as `translate`.
    return text.translate(lowercase_table()) if "\u03a3" in text else text.lower()


@functools.cache
def lowercase_table() -> dict[int, str]:
    """Code point -> lower case, for the characters that have one."""
    pairs = ((code, chr(code).lower()) for code in range(0x110000))
    return {code: lower for code, lower in pairs if lower != chr(code)}


def collapse_whitespace(text: str) -> str:
    """Every run of white space, line ends included, becomes one space."""
    return WHITESPACE_RUN.sub(" ", text)


def unix_newlines(text: str) -> str:
    """CRLF and lone CR become LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


STEPS = {
    "nfc": nfc,
    "nfkc": nfkc,
    "lowercase": lowercase,
    "collapse_whitespace": collapse_whitespace,
    "unix_newlines": unix_newlines,
}
# Steps whose result for rare characters depends on Python's Unicode version.
UNICODE_VERSIONED = ("nfc", "nfkc", "lowercase")


def check_steps(names) -> None:
    """Raises UserError for a name that is not in STEPS."""
    for name in names:
        if name not in STEPS:
            raise unknown_name("normalization step", name, STEPS)


def normalize(text: str, names=()) -> str:
    """`text` without lone surrogates, then through the steps `names` in their order."""
    text = replace_surrogates(text)
    for name in names:
        text = STEPS[name](text)
    return text
