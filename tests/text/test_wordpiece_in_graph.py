"""The words that the twin of WordPiece sees are those of Hugging Face's normalizer and splitter, over all of Unicode.

Ids alone would hide differences: a word with a strange character is [UNK] whatever becomes of the character.
"""

import unicodedata

import pytest
import tensorflow as tf
from nasty_strings import NASTY_STRINGS, random_strings
from tokenizers.pre_tokenizers import BertPreTokenizer

from tflm.text.wordpiece import SPECIAL_PIECES, WordPieceTokenizer, WordRules

RULES = {
    "cased": WordRules(),
    "uncased": WordRules(lowercase=True, strip_accents=True),
    "lowercase": WordRules(lowercase=True, split_chinese=False),
}
# All that Python knows, and a part of what it does not.
CHARACTERS = [
    chr(code)
    for code in range(0x110000)
    if not 0xD800 <= code < 0xE000
    and (unicodedata.category(chr(code)) not in ("Cn", "Co") or code % 61 == 0)
]


@pytest.fixture(scope="module", params=RULES)
def both(request):
    """Texts to lists of words: by the twin, and by `tokenizers`."""
    rules = RULES[request.param]
    pieces = list(SPECIAL_PIECES.values())
    twin = WordPieceTokenizer(pieces, SPECIAL_PIECES, rules).in_graph()
    in_graph = tf.function(twin._words)
    normalizer, splitter = rules.normalizer(), BertPreTokenizer()

    def by_twin(texts):
        found = in_graph(tf.constant([text.encode() for text in texts])).to_list()
        return [[word.decode() for word in words] for words in found]

    def by_library(texts):
        normalized = map(normalizer.normalize_str, texts)
        return [[word for word, _ in splitter.pre_tokenize_str(text)] for text in normalized]

    return by_twin, by_library


def check(both, texts):
    by_twin, by_library = both
    for text, got, wanted in zip(texts, by_twin(texts), by_library(texts), strict=True):
        assert got == wanted, ascii(text)


def test_every_character(both):
    """Eight of them in a text, each between letters and at the end of a word."""
    words = [f"a{char}b {char}" for char in CHARACTERS]
    check(both, [" ".join(words[i : i + 8]) for i in range(0, len(words), 8)])


def test_strings(both):
    check(both, [text for text in NASTY_STRINGS if text] + random_strings(2000, seed=13))


def test_marks_change_places(both):
    """Two and three marks on a letter, and marks with nothing before them but the end of another text."""
    marks = [char for char in CHARACTERS if unicodedata.combining(char)]
    staying = [char for char in marks if unicodedata.category(char) != "Mn"]
    starters = "\u0308\u094d\u0900\u034fx"  # some are dropped as accents, and keep others apart before that
    texts = [a + b for a in staying for b in staying]
    texts += [f"e{a}{c}{b}" for a in staying for b in staying for c in starters]
    texts += [f"a{a}{b}{c}" for a in marks[::17] for b in marks[::13] for c in staying[::3]]
    texts += [f"\uac00{a}\u00e9{b}" for a in marks[::3] for b in marks[::29]]
    check(both, texts)
