"""Schemes of tags: found by themselves, and turned into each other."""

import random

import pytest

from tflm.data.tag_schemes import TagScheme, find_scheme, to_bio

# One sentence with two people side by side, a single word and an entity of three, in every scheme.
SENTENCE = {
    "BIO": "O B-PER I-PER B-PER O B-LOC O B-ORG I-ORG I-ORG",
    "IOB1": "O I-PER I-PER B-PER O I-LOC O I-ORG I-ORG I-ORG",
    "BIOES": "O B-PER E-PER S-PER O S-LOC O B-ORG I-ORG E-ORG",
    "BMES": "O B-PER E-PER S-PER O S-LOC O B-ORG M-ORG E-ORG",
    "BILOU": "O B-PER L-PER U-PER O U-LOC O B-ORG I-ORG L-ORG",
}


def spelled(entities: list[tuple[str, int]], scheme: str) -> list[str]:
    """Tags of (type, number of words) side by side, "" for words outside; written from the definitions."""
    tags, before = [], None
    for kind, length in entities:
        if not kind:
            tags += ["O"] * length
        elif scheme == "BIO":
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
        elif scheme == "IOB1":
            tags += [f"{'B' if before == kind else 'I'}-{kind}"] + [f"I-{kind}"] * (length - 1)
        else:
            begin, inside, end, single = {"BIOES": "BIES", "BMES": "BMES", "BILOU": "BILU"}[scheme]
            letters = begin + inside * (length - 2) + end if length > 1 else single
            tags += [f"{letter}-{kind}" for letter in letters]
        before = kind
    return tags


@pytest.mark.parametrize("name", SENTENCE)
def test_a_scheme_is_found_and_becomes_bio(name):
    tags = SENTENCE[name].split()
    assert find_scheme([["O"], tags, []]) == TagScheme(name, 0)
    assert to_bio(tags) == SENTENCE["BIO"].split()


@pytest.mark.parametrize("name", SENTENCE)
def test_any_entities_become_bio(name):
    source = random.Random(7)
    for _ in range(300):
        count = source.randrange(12)
        entities = [
            (source.choice(["", "A", "B", "A-B"]), source.randint(1, 4)) for _ in range(count)
        ]
        tags = spelled(entities, name)
        assert to_bio(tags) == spelled(entities, "BIO")
        assert find_scheme([tags, SENTENCE[name].split()]).name == name


def test_entities_that_begin_as_they_should_not():
    """As conlleval reads them: I behind O, or behind another type, begins one."""
    tags = ["O", "I-PER", "I-PER", "O", "B-LOC", "I-PER", "B-LOC", "I-LOC"]
    assert find_scheme([tags]) == TagScheme("BIO", 2)
    assert to_bio(tags) == ["O", "B-PER", "I-PER", "O", "B-LOC", "B-PER", "B-LOC", "I-LOC"]
    tags = ["E-PER", "S-PER", "I-PER", "O", "B-PER", "E-PER", "E-PER"]
    assert find_scheme([tags]) == TagScheme("BIOES", 3)
    assert to_bio(tags) == ["B-PER", "B-PER", "B-PER", "O", "B-PER", "I-PER", "B-PER"]


def test_word_segmentation_has_no_types():
    tags = list("SBEBMMES")
    assert find_scheme([tags]) == TagScheme("BMES", 0)
    assert to_bio(tags) == list("BBIBIIIB")


def test_tags_of_words_have_no_scheme():
    assert find_scheme([["NOUN", "B-X"], ["O"]]) == TagScheme("none", 0)
    assert find_scheme([["O", "O"]]) == TagScheme("BIO", 0)
