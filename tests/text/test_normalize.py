"""Normalisation steps against known values, and their twins over every code point."""

import unicodedata

import pytest
import tensorflow as tf
from nasty_strings import INVALID_UTF8, LONG_STRINGS, NASTY_STRINGS, random_strings

from tflm.text import normalize
from tflm.text.normalize_in_graph import Normalize

EVERY_CHARACTER = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def in_graph(texts, names):
    twin = tf.function(Normalize(names))
    return [text.decode() for text in twin(tf.constant([t.encode() for t in texts])).numpy()]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("nfc", "e\u0301 ﬁ", "é ﬁ"),
        ("nfkc", "ﬁ Ｆｕｌｌ　①", "fi Full 1"),
        ("lowercase", "ÀÉ ΣΑΣ İ ẞ 中 ABC", "àé σασ i\u0307 ß 中 abc"),
        ("collapse_whitespace", " a\r\n\tb\u3000\u2028c \x1c\x85", " a b c "),
        ("unix_newlines", "a\r\nb\rc\n\r", "a\nb\nc\n\n"),
    ],
)
def test_steps(name, text, expected):
    assert normalize.normalize(text, (name,)) == expected


def test_steps_run_in_their_order():
    assert normalize.normalize("Ⅷ\u00a0 X", ("collapse_whitespace", "nfkc")) == "VIII X"
    assert normalize.normalize("K \u212b", ("nfc", "lowercase")) == "k å"
    assert normalize.normalize("\u2100", ("lowercase", "nfkc")) == "a/c"
    assert normalize.normalize("\u2121", ("lowercase", "nfkc")) == "TEL"
    assert normalize.normalize("\u2121", ("nfkc", "lowercase")) == "tel"


def test_whitespace_is_what_python_says():
    spelled = {c for first, last in normalize.WHITESPACE_RANGES for c in range(first, last + 1)}
    assert spelled == {ord(char) for char in EVERY_CHARACTER if char.isspace()}


def test_lowercase_is_pythons_own_for_every_single_character():
    assert [normalize.lowercase(char) for char in EVERY_CHARACTER] == [
        char.lower() for char in EVERY_CHARACTER
    ]
    multiple = [char for char in EVERY_CHARACTER if len(char.lower()) != 1]
    assert multiple == ["\u0130"]


def test_lone_surrogates_are_replaced():
    assert normalize.normalize("a\ud83d\ude00\udfff") == "a\ufffd\ufffd\ufffd"
    assert normalize.normalize("\U0001f600") == "\U0001f600"


@pytest.mark.parametrize("name", normalize.STEPS)
def test_twin_is_exact_over_every_character(name):
    step = normalize.STEPS[name]
    assert in_graph(EVERY_CHARACTER, (name,)) == [step(char) for char in EVERY_CHARACTER]


@pytest.mark.parametrize("name", normalize.STEPS)
def test_twin_is_exact_over_nasty_strings(name):
    texts = [*NASTY_STRINGS, *LONG_STRINGS[:1], *random_strings(500, seed=3)]
    assert in_graph(texts, (name,)) == [normalize.normalize(text, (name,)) for text in texts]


@pytest.mark.parametrize("form", ["nfc", "nfkc"])
def test_twin_composes_as_python_does(form):
    """Bases with one and two marks after them, and every character between two composing ones."""
    marks = [char for char in EVERY_CHARACTER if unicodedata.combining(char)]
    bases = "aAeEoOuUiısΑΩеИ\u1100\uac00\u0b47\u09c7\u0cc6\u1b05 <=>0"
    texts = [base + mark for base in bases for mark in marks]
    texts += [base + a + b for base in "aeA" for a in marks[::7] for b in marks[::11]]
    texts += ["e" + char + "\u0301" for char in EVERY_CHARACTER[::3]]
    assert in_graph(texts, (form,)) == [normalize.STEPS[form](text) for text in texts]


def test_invalid_utf8_is_replaced_as_python_replaces_it():
    pool = (0x00, 0x41, 0x80, 0x90, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5)
    cases = list(INVALID_UTF8)
    cases += [bytes((a, b)) for a in range(256) for b in range(256)]
    cases += [bytes((a, b, c)) for a in pool for b in pool for c in pool]
    cases += [bytes((a, b, c, d)) for a in pool for b in pool for c in pool for d in pool]
    twin = Normalize()(tf.constant(cases)).numpy()
    assert [text.decode() for text in twin] == [case.decode("utf-8", "replace") for case in cases]


def test_combined_steps_are_exact():
    texts = [*NASTY_STRINGS, *random_strings(300, seed=4)]
    for names in (("nfkc", "lowercase", "collapse_whitespace"), ("unix_newlines", "nfc")):
        assert in_graph(texts, names) == [normalize.normalize(text, names) for text in texts]
