"""Schemes by which the tags of words say where an entity begins and ends.

    BIO     B-PER I-PER O          every entity begins with B (also called IOB2)
    IOB1    I-PER I-PER O          B only where an entity follows right behind one of its type
    BIOES   B-PER E-PER S-LOC      the last word has E, a single one S
    BMES    B-PER M-PER E-PER      the same with M for I
    BILOU   B-PER L-PER U-LOC      the same with L for E and U for S
    none    NOUN VERB              tags of words, such as parts of speech

The type may be missing (B M E S of word segmentation). Published sets have a few entities that begin with a tag that
should only go on with one; as in conlleval, it begins one. (From BIO to BIOES: `tflm.metrics.entities.convert_tags`.)
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_TAG = re.compile(r"([BIMELSU])(?:-(.+))?|(O)", re.DOTALL)
_BEGIN, _INSIDE, _LAST = "BSU", "IMEL", "ESLU"


class TagScheme(NamedTuple):
    """`irregular`: entities that begin with a tag which should only go on with one."""

    name: str
    irregular: int


def find_scheme(sentences: Iterable[Sequence[str]]) -> TagScheme:
    """The scheme of the tags of sentences."""
    prefixes, fresh, irregular = set(), 0, 0
    for tags in sentences:
        open_type = None
        for tag in tags:
            if not _TAG.fullmatch(tag):
                return TagScheme("none", 0)
            prefix, entity_type = _split(tag)
            prefixes.add(prefix)
            goes_on = open_type == entity_type
            fresh += prefix == "B" and not goes_on
            irregular += prefix in _INSIDE and not goes_on
            open_type = None if prefix in _LAST + "O" else entity_type
    if prefixes == {"O"}:
        return TagScheme("BIO", 0)
    for name, own in (("BMES", "M"), ("BILOU", "LU"), ("BIOES", "ES")):
        if prefixes & set(own):
            return TagScheme(name, irregular)
    return TagScheme("IOB1", 0) if irregular and not fresh else TagScheme("BIO", irregular)


def to_bio(tags: Sequence[str]) -> list[str]:
    """The tags of a sentence, of any scheme but "none", as BIO; regular, whatever they were."""
    result, open_type = [], None
    for tag in tags:
        prefix, entity_type = _split(tag)
        if prefix == "O":
            result.append("O")
        else:
            begins = prefix in _BEGIN or open_type != entity_type
            result.append(("B" if begins else "I") + (f"-{entity_type}" if entity_type else ""))
        open_type = None if prefix in _LAST + "O" else entity_type
    return result


def _split(tag: str) -> tuple[str, str]:
    """B-PER -> (B, PER)."""
    return tag[0], tag[2:]
