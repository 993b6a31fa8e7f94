"""What Hugging Face's `tokenizers` does to every single character, found out by asking it.

Its tables are of several versions of Unicode, none of them Python's or TensorFlow's: to one that is older, newer marks
and punctuation are letters. A graph must do what is done there, so it gets these very tables. Not asked about are
characters that Python has never heard of, but for the first four planes, where new ones go.
"""

import functools
import unicodedata
from collections.abc import Callable, Iterable

from tokenizers.normalizers import NFD, BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

BLOCK = 1 << 14
# Stands between characters that are asked about at once: nothing is done to it or across it.
_BETWEEN = "|"


def _asked(change: Callable[[str], str], texts: Iterable[str]) -> dict[str, str]:
    """text -> what becomes of it, for those that do not stay as they are; none has a `|` inside."""
    texts, found = list(texts), {}
    for first in range(0, len(texts), BLOCK):
        block = texts[first : first + BLOCK]
        changed = change(_BETWEEN.join(block)).split(_BETWEEN)
        found.update(pair for pair in zip(block, changed, strict=True) if pair[0] != pair[1])
    return found


@functools.cache
def _characters(without_private: bool = True) -> list[str]:
    left_out = ("Cs", "Co") if without_private else ("Cs",)
    chars = (chr(code) for code in range(0x110000) if chr(code) != _BETWEEN)
    categories = ((char, unicodedata.category(char)) for char in chars)
    return [
        char
        for char, category in categories
        if category not in left_out and (category != "Cn" or ord(char) < 0x40000)
    ]


@functools.cache
def cleaned(split_chinese: bool) -> tuple[list, list, list]:
    """The characters that are dropped, that become a space, and that are words by themselves; as ranges."""
    normalizer = BertNormalizer(
        clean_text=True, handle_chinese_chars=split_chinese, strip_accents=False, lowercase=False
    )
    changed = _asked(normalizer.normalize_str, _characters(without_private=False))
    groups = {"": [], " ": [], "apart": []}
    for char, after in changed.items():
        groups["apart" if after == f" {char} " else after].append(ord(char))
    return tuple(ranges(codes) for codes in groups.values())


@functools.cache
def punctuation() -> list[tuple[int, int]]:
    """The characters that are words by themselves when the text has been made ready, as ranges."""
    splitter = BertPreTokenizer()

    def change(text: str) -> str:
        pieces = (piece for piece, _ in splitter.pre_tokenize_str(text))
        return "".join(p if len(p) > 1 or p == _BETWEEN else "" for p in pieces)

    # A mark is cut from the letters beside it, and only what is longer than one character is kept.
    some = (char for char in _characters() if unicodedata.category(char)[0] not in "LNZC")
    changed = _asked(change, (f"aa{char}aa" for char in some))
    return ranges([ord(text[2]) for text in changed] + [ord(_BETWEEN)])


@functools.cache
def decomposed() -> dict[int, str]:
    """Code point -> its canonical decomposition."""
    return {ord(char): after for char, after in _asked(NFD().normalize_str, _characters()).items()}


@functools.cache
def canonical_order() -> dict[int, int]:
    """Code point of a mark -> a number from 1, by which marks on the same character are sorted (UAX #15, D108).

    The numbers are in the order of the canonical combining classes.
    """
    known = [char for char in _characters() if unicodedata.combining(char)]
    classes = list({unicodedata.combining(c): c for c in known[::-1]}.items())
    classes = [char for _, char in sorted(classes)]
    normalize = NFD().normalize_str
    # Before the first class or behind the last: one of both moves a mark.
    probes = {f"a{char}{classes[0]}": char for char in known}
    probes |= {f"a{classes[-1]}{char}": char for char in known}
    decompositions = decomposed()
    moved = (probes[text] for text in _asked(normalize, probes))
    marks = {mark for mark in moved if ord(mark) not in decompositions}
    order = {}
    for mark in marks:
        # It stays behind the marks that are not sorted behind it.
        order[ord(mark)] = sum(normalize(f"a{c}{mark}") == f"a{c}{mark}" for c in classes)
    return order


@functools.cache
def folded(lowercase: bool, strip_accents: bool) -> dict[int, str]:
    """Code point -> what becomes of it after cleaning and, where accents go, decomposing."""
    normalizer = BertNormalizer(
        clean_text=False,
        handle_chinese_chars=False,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    changed = _asked(normalizer.normalize_str, _characters())
    return {ord(char): after for char, after in changed.items()}


def ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Code points as ranges, the ends included."""
    found = []
    for code in sorted(codes):
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found
