"""Where in a text the tokens of each kind of tokenizer stand, whatever its normalization does before."""

import itertools
import pydoc_data.topics
import random
import unicodedata

import numpy as np
import pytest
from nasty_strings import NASTY_STRINGS, random_strings

from tflm.errors import UserError
from tflm.text.alignment import PIECES, normalize_with_spans
from tflm.text.normalize import STEPS, normalize
from tflm.text.tokenizer import Tokenizer, TokenizerConfig, train

PROSE = list(pydoc_data.topics.topics.values())[:20]
CHINESE = ["中文分词很难，是吗？“是的”。我来到北京清华大学。混合 English 2024年\n"] * 3
EVERY_STEP = ("unix_newlines", "nfkc", "lowercase", "collapse_whitespace")
CONFIGS = {
    "byte": TokenizerConfig(kind="byte"),
    "character": TokenizerConfig(kind="character", vocabulary_size=120),
    "words": TokenizerConfig(kind="word", vocabulary_size=2000),
    "whitespace": TokenizerConfig(kind="word", split="whitespace"),
    "jieba": TokenizerConfig(kind="word", split="jieba"),
    "unigram": TokenizerConfig(vocabulary_size=1000),
    "bpe": TokenizerConfig(algorithm="bpe", vocabulary_size=1000),
    "normalized_words": TokenizerConfig(kind="word", normalization=EVERY_STEP),
    "normalized_unigram": TokenizerConfig(vocabulary_size=1000, normalization=EVERY_STEP),
    "normalized_byte": TokenizerConfig(kind="byte", normalization=EVERY_STEP),
    "wordpiece": TokenizerConfig(kind="wordpiece", vocabulary_size=1000),
    "uncased": TokenizerConfig(kind="wordpiece", vocabulary_size=1000, uncased=True),
    "normalized_wordpiece": TokenizerConfig(
        kind="wordpiece", vocabulary_size=1000, normalization=EVERY_STEP
    ),
}
TEXTS = [*NASTY_STRINGS, *random_strings(150, seed=3), *PROSE[:2], *CHINESE]


@pytest.fixture(scope="module")
def trained():
    return {name: train(config, iter(PROSE + CHINESE)) for name, config in CONFIGS.items()}


def strings_that_change(count: int) -> list[str]:
    """Of characters that Unicode decomposes, parts of these, marks and letters of Hangul."""
    whole = [c for c in map(chr, range(0x30000)) if unicodedata.decomposition(c)]
    parts = sorted({part for c in whole for part in unicodedata.normalize("NFKD", c)})
    hangul = [*map(chr, range(0x1100, 0x1200)), "각", "가", "\uac01"]
    source = random.Random(5)
    sets = (whole, parts, hangul, [c for c in parts if unicodedata.combining(c)])
    return ["".join(source.choice(source.choice(sets)) for _ in range(12)) for _ in range(count)]


def test_every_step_has_its_pieces():
    assert PIECES.keys() == STEPS.keys()


@pytest.mark.parametrize("step", STEPS)
def test_pieces_go_through_a_step_alone(step):
    """The pieces are the text without a gap, and joined again after the step they are the whole after the step."""
    for text in [*NASTY_STRINGS, *random_strings(300, seed=4), *strings_that_change(500)]:
        normalized, spans = normalize_with_spans(text, (step,))
        assert normalized == normalize(text, (step,))
        assert spans.shape == (len(normalized), 2)
        pieces = list(dict.fromkeys(map(tuple, spans.tolist())))
        assert [start for start, _ in pieces] == [0, *(end for _, end in pieces)][: len(pieces)]
        assert not pieces or pieces[-1][1] == len(text)
        assert "".join(normalize(text[a:b], (step,)) for a, b in pieces) == normalized


def test_characters_that_melt_together():
    """By hand: a letter and its marks, a Hangul syllable, a ligature, CR LF, a run of white space."""
    text = "e\u0301 \u1112\u1161\u11ab ﬁ\r\n İ"
    normalized, spans = normalize_with_spans(text, EVERY_STEP)
    assert normalized == "é 한 fi i\u0307"
    assert spans.tolist() == [
        [0, 2],
        [2, 3],
        [3, 6],
        [6, 7],
        [7, 8],
        [7, 8],
        [8, 11],
        [11, 12],
        [11, 12],
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_tokens_are_those_of_encode_and_stand_in_order(trained, name):
    tokenizer = trained[name]
    for text in TEXTS:
        ids, offsets = tokenizer.encode_with_offsets(text)
        assert ids == tokenizer.encode(text)
        assert all(type(token_id) is int for token_id in ids)
        assert offsets.shape == (len(ids), 2)
        assert offsets.dtype == np.int32
        assert (offsets[:, 0] < offsets[:, 1]).all()
        assert (np.diff(offsets, axis=0) >= 0).all()
        assert (offsets >= 0).all()
        assert (offsets <= len(text)).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_nothing_but_white_space_is_outside_of_the_tokens(trained, name):
    tokenizer = trained[name]
    for text in TEXTS:
        covered = np.zeros(len(text), bool)
        for start, end in tokenizer.encode_with_offsets(text)[1]:
            covered[start:end] = True
        outside = "".join(itertools.compress(text, ~covered))
        if tokenizer.kind == "wordpiece":  # nor anything but what it drops before there are words
            outside = tokenizer.rules.normalizer().normalize_str(outside)
        assert not outside.strip(), repr(text)
        assert tokenizer.kind in ("word", "wordpiece") or not outside


@pytest.mark.parametrize("name", ["words", "whitespace", "jieba", "character"])
def test_offsets_give_the_very_words(trained, name):
    tokenizer = trained[name]
    for text in [*PROSE, *CHINESE]:
        ids, offsets = tokenizer.encode_with_offsets(text)
        for token_id, (start, end) in zip(ids, offsets, strict=True):
            expected = None if token_id == tokenizer.unk_id else token_id
            assert tokenizer.token_id(text[start:end]) == expected


def test_offsets_give_the_very_words_before_normalization(trained):
    tokenizer = trained["normalized_words"]
    text = "The ＣＡＦＥ\u0301 e\u0301\r\n\t… ﬁve"
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert len(ids) == 7
    assert [text[a:b] for a, b in offsets] == ["The", "ＣＡＦＥ\u0301", "e\u0301", *"………", "ﬁve"]


@pytest.mark.parametrize("name", ["wordpiece", "uncased"])
def test_offsets_give_the_very_pieces_of_words(trained, name):
    tokenizer = trained[name]
    normalizer = tokenizer.rules.normalizer()
    for text in [*PROSE, *CHINESE, "naïve cafés"]:
        ids, offsets = tokenizer.encode_with_offsets(text)
        for token_id, (start, end) in zip(ids, offsets, strict=True):
            piece = tokenizer.piece(token_id)
            if token_id != tokenizer.unk_id and piece != "##":
                spelled = normalizer.normalize_str(text[start:end]).strip()
                assert spelled == piece.removeprefix("##")


@pytest.mark.parametrize("name", ["unigram", "bpe"])
def test_offsets_give_the_very_pieces(trained, name):
    """A piece spells what stands there; a byte is one of a single character's."""
    tokenizer = trained[name]
    for text in [*random_strings(100, seed=5), *PROSE, *CHINESE]:
        text = text.replace("\u2581", "_").replace("\x1a", "_")  # see tflm/text/sentencepiece.py
        ids, offsets = tokenizer.encode_with_offsets(text)
        for token_id, (start, end) in zip(ids, offsets, strict=True):
            piece = tokenizer._processor.id_to_piece(token_id)
            if tokenizer._processor.is_byte(token_id):
                assert end - start == 1
                assert int(piece[3:5], 16) in text[start:end].encode()
            else:
                assert text[start:end] == piece.replace("\u2581", " ")


def test_a_character_of_its_own_rules_is_whole(trained):
    """U+2581 is spelled in two pieces, both of which stand for it."""
    for name in ("unigram", "bpe"):
        ids, offsets = trained[name].encode_with_offsets("a\u2581,")
        assert list(map(tuple, offsets.tolist())) == [(0, 1), (1, 2), (1, 2), (2, 3)], ids


def test_all_bytes_of_a_character_have_it(trained):
    ids, offsets = trained["byte"].encode_with_offsets("aé中")
    assert len(ids) == 6
    assert offsets.tolist() == [[0, 1], [1, 2], [1, 2], [2, 3], [2, 3], [2, 3]]


def test_text_longer_than_a_segment(trained):
    text = "ab cd " * 3000 + "\n" + "你好 " * 2000
    ids, offsets = trained["unigram"].encode_with_offsets(text)
    assert ids == trained["unigram"].encode(text)
    assert offsets[0, 0] == 0
    assert offsets[-1, 1] == len(text)


def test_a_kind_that_cannot_say(trained, monkeypatch):
    byte = trained["byte"]
    monkeypatch.setattr(type(byte), "_encode_with_offsets", Tokenizer._encode_with_offsets)
    with pytest.raises(UserError, match=r"kind 'byte' cannot say where .* --config\.tokenizer\."):
        byte.encode_with_offsets("a")
