"""Cutting text into documents: nothing is lost, and cuts fall where a reader would put them."""

import random

import pytest

from tflm.data import documents
from tflm.data.documents import lines, raw_lines, sections, whole
from tflm.errors import UserError

NASTY = (
    "一段没有空格的中文" * 40
    + "\r\n\r\n"
    + "👩‍👩‍👧‍👦" * 50
    + "\n\n\n\t  \t"
    + "word " * 200
    + "\r\n" * 90
    + "\u2028\u0085ｆｕｌｌ　ｗｉｄｔｈ\x00\x07"
    + "x" * 1000
    + "\r"
    + "é" * 500
    + "\r\n"
)


def blocks_of(text, size):
    return [text[i : i + size] for i in range(0, len(text), size)]


@pytest.mark.parametrize("section_bytes", [64, 65, 66, 67, 100, 1000, 100_000])
@pytest.mark.parametrize("block", [1, 7, 1000, 10**6])
def test_sections_joined_are_the_text(section_bytes, block):
    parts = list(sections(blocks_of(NASTY, block), section_bytes))
    assert "".join(parts) == NASTY
    assert max(len(part.encode()) for part in parts) <= section_bytes
    assert parts == list(sections([NASTY], section_bytes))  # The blocks leave no trace.


def test_random_texts_survive():
    chooser = random.Random(0)
    for _ in range(300):
        text = "".join(chooser.choices("ab \t\r\n中👍", k=chooser.randrange(400)))
        parts = list(sections([text], 64))
        assert "".join(parts) == text
        assert all(parts)
        for left, right in zip(parts, parts[1:], strict=False):
            assert 32 <= len(left.encode()) <= 64  # Cuts lie in the second half.
            assert not (left.endswith("\r") and right.startswith("\n"))


def test_cut_prefers_paragraph_then_line_then_space():
    paragraph = "a b c\nd " * 5 + "\n\n" + "e f\n" * 5
    assert next(sections([paragraph + "z" * 64], 64)) == "a b c\nd " * 5 + "\n\n"
    crlf = "a b c\r\nd" * 5 + "\r\n\r\n" + "e f\r\n" * 3
    assert next(sections([crlf + "z" * 64], 64)) == "a b c\r\nd" * 5 + "\r\n\r\n"
    line = "a" * 40 + "\n" + "b c " * 4 + "d" * 60
    assert next(sections([line], 64)) == "a" * 40 + "\n"
    space = "a" * 40 + " " + "b" * 60
    assert next(sections([space], 64)) == "a" * 40 + " "
    solid = "中" * 60
    assert next(sections([solid], 64)) == "中" * 21  # 63 bytes; 64 would halve a character.


def test_early_paragraph_does_not_make_a_tiny_section():
    text = "Title\n\n" + "word " * 40
    assert next(sections([text], 64)) == "Title\n\n" + "word " * 11


def test_megabyte_on_one_line():
    text = "0123456789" * 100_000
    parts = list(sections(blocks_of(text, 1 << 16), 16384))
    assert "".join(parts) == text
    assert [len(part) for part in parts[:-1]] == [16384] * (len(parts) - 1)
    assert list(lines(blocks_of(text, 1 << 16))) == [text]


def test_lines():
    assert list(lines(["one\r", "\n\ntw", "o\rx\u2028y\n", "three"])) == [
        "one",
        "two\rx\u2028y",
        "three",
    ]
    assert list(raw_lines(["one\r", "\n\ntwo"])) == ["one\r\n", "\n", "two"]
    assert list(lines([])) == list(lines(["\n\r\n"])) == []


def test_whole():
    assert list(whole(["a\r\n", "b"], 64)) == ["a\r\nb"]
    assert list(whole([], 64)) == []


@pytest.mark.parametrize("cut", [lines, whole])
def test_endless_document_is_refused_not_gathered(cut, monkeypatch):
    monkeypatch.setattr(documents, "MAX_DOCUMENT_CHARACTERS", 1000)
    consumed = []

    def endless():
        while True:
            consumed.append(100)
            yield "x" * 100

    with pytest.raises(UserError, match="documents=section"):
        list(cut(endless(), 64))
    assert sum(consumed) < 1200


def test_sections_of_an_endless_line_stream():
    def endless():
        while True:
            yield "x" * 1000

    stream = sections(endless(), 128)
    assert [len(next(stream)) for _ in range(50)] == [128] * 50
