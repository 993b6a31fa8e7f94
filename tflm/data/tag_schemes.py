"""Schemes by which the tags of words say where an entity begins and ends.

    BIO     B-PER I-PER O          every entity begins with B (also called IOB2)
    IOB1    I-PER I-PER O          B only where an entity follows right behind one of its type
    BIOES   B-PER E-PER S-LOC      the last word has E, a single one S
    BMES    B-PER M-PER E-PER      the same with M for I
    BILOU   B-PER L-PER U-LOC      the same with L for E and U for S
    none    NOUN VERB              tags of words, such as parts of speech

The type may be missing (B M E S of word segmentation). Published sets have a few entities that begin with a tag that
should only go on with one; as in conlleval, it begins one.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tflm.errors import UserError

CONVERSIONS = ("", "bio", "bioes")
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


def convert(tags: Sequence[str], conversion: str) -> list[str]:
    """The tags of a sentence in another scheme.

    Args:
        tags: of any scheme but "none".
        conversion: one of CONVERSIONS: "" leaves them as they are.

    Raises:
        UserError: for a tag of no scheme.
    """
    if not conversion:
        return list(tags)
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise UserError(
                f"Only tags such as B-PER, I-PER and O become {conversion.upper()}. Leave the scheme as it is. "
                f"Received: {tag!r}."
            )
    tags = to_bio(tags)
    if conversion == "bio":
        return tags
    result = []
    for tag, after in itertools.zip_longest(tags, tags[1:], fillvalue="O"):
        is_last = tag != "O" and not after.startswith("I")
        result.append(({"B": "S", "I": "E"}[tag[0]] if is_last else tag[0]) + tag[1:])
    return result


def says_entities(labels: Iterable[str]) -> bool:
    """Whether the tags of a set say where entities of a type begin and end."""
    found = [_TAG.fullmatch(label) for label in labels]
    return all(tag and (tag[2] or tag[3]) for tag in found) and any(tag[2] for tag in found)


def with_all_prefixes(labels: Iterable[str]) -> set[str]:
    """The set, and where it says entities every prefix that it has for every type that it has.

    A type of which the training text has no entity of two words may have one elsewhere.
    """
    labels = set(labels)
    if says_entities(labels):
        pairs = {_split(label) for label in labels - {"O"}}
        prefixes, types = map(set, zip(*pairs, strict=True))
        labels |= {f"{prefix}-{kind}" for prefix in prefixes for kind in types}
    return labels


def _split(tag: str) -> tuple[str, str]:
    """B-PER -> (B, PER)."""
    return tag[0], tag[2:]
