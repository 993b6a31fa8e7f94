"""Every kind of tokenizer: identity, the special ids, saving, fingerprints, worker processes."""

import multiprocessing
import pydoc_data.topics
import subprocess
import sys

import numpy as np
import pytest
from nasty_strings import LONG_STRINGS, NASTY_STRINGS, random_strings

from tflm.errors import UserError
from tflm.text import tokenizer as tokenizers
from tflm.text.tokenizer import TokenizerConfig, load, train

PROSE = list(pydoc_data.topics.topics.values())[:40]
CHINESE = ["中文分词很难，是吗？“是的”。我来到北京清华大学。混合 English 2024年\n"] * 3
TEXTS = PROSE + CHINESE
CONFIGS = {
    "byte": TokenizerConfig(kind="byte"),
    "character": TokenizerConfig(kind="character", vocabulary_size=120),
    "words": TokenizerConfig(kind="word", vocabulary_size=2000),
    "whitespace": TokenizerConfig(kind="word", split="whitespace", min_count=2),
    "unigram": TokenizerConfig(vocabulary_size=1500),
    "bpe": TokenizerConfig(algorithm="bpe", vocabulary_size=1500),
    "normalized": TokenizerConfig(
        kind="word", normalization=("nfkc", "lowercase", "collapse_whitespace")
    ),
    "wordpiece": TokenizerConfig(kind="wordpiece", vocabulary_size=1500),
    "uncased": TokenizerConfig(
        kind="wordpiece", vocabulary_size=1500, uncased=True, normalization=("nfkc",)
    ),
}
SPECIAL_PIECES = {
    name: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if config.kind == "wordpiece"
    else ["<pad>", "<unk>", "<s>", "</s>"]
    for name, config in CONFIGS.items()
}
LOSSLESS = ("byte", "unigram", "bpe")


@pytest.fixture(scope="module")
def trained():
    return {name: train(config, iter(TEXTS)) for name, config in CONFIGS.items()}


@pytest.mark.parametrize("name", LOSSLESS)
def test_any_text_comes_back(trained, name):
    tokenizer = trained[name]
    assert tokenizer.lossless
    texts = [*NASTY_STRINGS, *LONG_STRINGS, *random_strings(300, seed=1), *PROSE]
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert tokenizer.decode(ids) == text


def test_known_characters_come_back(trained):
    tokenizer = trained["character"]
    assert not tokenizer.lossless
    known = "".join(chr(i) for i in range(0x110000) if tokenizer.token_id(chr(i)) is not None)
    assert len(known) == tokenizer.vocabulary_size - 4 == 116
    assert tokenizer.decode(tokenizer.encode(known)) == known
    assert tokenizer.encode("\U0001f600a") == [1, tokenizer.token_id("a")]
    assert tokenizer.decode(tokenizer.encode("a\U0001f600a")) == "a\ufffda"


@pytest.mark.parametrize("name", CONFIGS)
def test_text_never_gives_special_ids(trained, name):
    tokenizer = trained[name]
    allowed_unknown = name not in LOSSLESS
    for text in [*NASTY_STRINGS, *random_strings(100, seed=2)]:
        ids = set(map(int, tokenizer.encode(text)))
        assert not ids & ({*tokenizer.special_ids} - {tokenizer.unk_id})
        assert allowed_unknown or 1 not in ids
        assert ids <= set(range(tokenizer.vocabulary_size))


@pytest.mark.parametrize("name", CONFIGS)
def test_special_ids_are_the_same_everywhere(trained, name):
    tokenizer = trained[name]
    assert (tokenizer.pad_id, tokenizer.unk_id) == (0, 1)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (2, 3)
    special = SPECIAL_PIECES[name]
    assert tokenizer.special_ids == tuple(range(len(special)))
    assert tokenizer.mask_id == (4 if len(special) == 5 else None)
    assert [tokenizer.piece(i) for i in tokenizer.special_ids] == special
    assert [tokenizer.token_id(piece) for piece in special] == list(tokenizer.special_ids)
    ids = tokenizer.encode("the text")
    assert tokenizer.decode([2, ids[0], 0, *ids[1:], 3, 0]) == tokenizer.decode(ids)


@pytest.mark.parametrize("name", CONFIGS)
def test_ids_out_of_range_decode_as_unknown(trained, name):
    tokenizer = trained[name]
    unknown = tokenizer.decode([1])
    assert unknown in ("\ufffd", "<unk>", "[UNK]")
    assert tokenizer.decode([tokenizer.vocabulary_size]) == unknown
    assert tokenizer.decode([-1]) == unknown
    with pytest.raises(UserError, match=f"0 to {tokenizer.vocabulary_size - 1}. Received: -1"):
        tokenizer.piece(-1)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_piece_has_a_printable_name_that_leads_back(trained, name):
    tokenizer = trained[name]
    for token_id in range(tokenizer.vocabulary_size):
        piece = tokenizer.piece(token_id)
        assert piece.isprintable()
        assert piece
        assert " " not in piece
        assert tokenizer.token_id(piece) == token_id
    assert tokenizer.token_id("no such piece \u4e02") is None


@pytest.mark.parametrize("name", CONFIGS)
def test_encode_batch_is_encode_of_each(trained, name):
    tokenizer = trained[name]
    texts = [*NASTY_STRINGS[:20], "", *PROSE[:3]]
    batch = tokenizer.encode_batch(texts)
    assert [list(map(int, ids)) for ids in batch] == [tokenizer.encode(text) for text in texts]
    assert all(type(i) is int for i in tokenizer.encode(PROSE[0][:100]))
    assert tokenizer.encode_batch([]) == []
    assert tokenizer.decode(np.array(batch[-1], np.uint16)) == tokenizer.decode(batch[-1])
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("name", CONFIGS)
def test_lone_surrogates_are_replacement_characters(trained, name):
    tokenizer = trained[name]
    assert tokenizer.encode("a\ud800b\udfff") == tokenizer.encode("a\ufffdb\ufffd")


@pytest.mark.parametrize("name", CONFIGS)
def test_saved_and_loaded_is_the_same(trained, name, tmp_path):
    tokenizer = trained[name]
    tokenizer.save(tmp_path / "tokenizer")
    loaded = load(tmp_path / "tokenizer")
    assert type(loaded) is type(tokenizer)
    assert loaded.fingerprint() == tokenizer.fingerprint()
    assert loaded.vocabulary_size == tokenizer.vocabulary_size
    assert loaded.normalization == tokenizer.normalization
    for text in [*NASTY_STRINGS, *PROSE[:5]]:
        assert loaded.encode(text) == tokenizer.encode(text)
        assert loaded.decode(loaded.encode(text)) == tokenizer.decode(tokenizer.encode(text))
    names = {path.name for path in (tmp_path / "tokenizer").iterdir()}
    beside = {"sentencepiece": {"tokenizer.model"}, "wordpiece": {"vocab.txt"}}
    assert names == {"tokenizer.json"} | beside.get(tokenizer.kind, set())


@pytest.mark.parametrize("name", CONFIGS)
def test_training_again_gives_the_same_tokenizer(trained, name):
    assert train(CONFIGS[name], iter(TEXTS)).fingerprint() == trained[name].fingerprint()


def test_fingerprints_differ_where_ids_differ(trained):
    fingerprints = [tokenizer.fingerprint() for tokenizer in trained.values()]
    texts = ["the quick brown fox the quick the\nfox"]
    for config in (
        TokenizerConfig(kind="byte", normalization=("nfc",)),
        TokenizerConfig(kind="byte", normalization=("nfkc",)),
        TokenizerConfig(kind="byte", normalization=("nfkc", "lowercase")),
        TokenizerConfig(kind="byte", normalization=("lowercase", "nfkc")),
        TokenizerConfig(kind="character"),
        TokenizerConfig(kind="character", min_count=3),
        TokenizerConfig(kind="word"),
        TokenizerConfig(kind="word", min_count=2),
        TokenizerConfig(kind="word", vocabulary_size=5),
        TokenizerConfig(kind="word", split="whitespace"),
        TokenizerConfig(),
        TokenizerConfig(algorithm="bpe"),
        TokenizerConfig(normalization=("unix_newlines",)),
        TokenizerConfig(kind="wordpiece"),
        TokenizerConfig(kind="wordpiece", min_count=3),
        TokenizerConfig(kind="wordpiece", uncased=True),
    ):
        fingerprints.append(train(config, texts).fingerprint())
    assert len(set(fingerprints)) == len(fingerprints)
    # What only asks, and changes nothing, is not in it.
    again = train(TokenizerConfig(kind="byte", vocabulary_size=5, sample_bytes=1), texts)
    assert again.fingerprint() == trained["byte"].fingerprint()


def test_fingerprint_follows_the_unicode_version_only_where_it_decides(monkeypatch):
    with_nfc = train(TokenizerConfig(kind="byte", normalization=("nfc",)), [])
    plain = train(TokenizerConfig(kind="byte", normalization=("unix_newlines",)), [])
    before = with_nfc.fingerprint(), plain.fingerprint()
    monkeypatch.setattr(tokenizers.unicodedata, "unidata_version", "99.0")
    assert with_nfc.fingerprint() != before[0]
    assert plain.fingerprint() == before[1]


def _encode_in_worker(tokenizer):
    return [list(map(int, ids)) for ids in tokenizer.encode_batch(NASTY_STRINGS[:30])]


def test_tokenizers_travel_to_spawned_workers(trained):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        results = pool.map(_encode_in_worker, trained.values())
    for result, tokenizer in zip(results, trained.values(), strict=True):
        assert result == _encode_in_worker(tokenizer)


def test_importing_is_light():
    code = (
        "import sys, tflm.text.tokenizer as t; t._class_of('byte'); t._class_of('sentencepiece');"
        "t._class_of('word'); t._class_of('character'); t._class_of('wordpiece');"
        "print([m for m in ('tensorflow', 'keras', 'sentencepiece', 'jieba', 'tokenizers')"
        " if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() == "[]", output.stderr


@pytest.mark.parametrize(
    ("config", "texts", "message"),
    [
        (
            TokenizerConfig(kind="subword"),
            ["a"],
            "Unknown tokenizer kind 'subword'. Choose one of: byte, character, sentencepiece, "
            "word, wordpiece.",
        ),
        (
            TokenizerConfig(algorithm="bpee"),
            ["a"],
            "Unknown sentencepiece algorithm 'bpee'. Choose one of: bpe, unigram.",
        ),
        (
            TokenizerConfig(kind="word", split="spaces"),
            ["a"],
            "Unknown word split 'spaces'. Choose one of: jieba, whitespace, words.",
        ),
        (
            TokenizerConfig(normalization=("nfd",)),
            ["a"],
            "Unknown normalization step 'nfd'. Choose one of: collapse_whitespace, lowercase, "
            "nfc, nfkc, unix_newlines.",
        ),
        (
            TokenizerConfig(kind="character", min_count=0),
            ["a"],
            "`min_count` must be at least 1. Received: 0.",
        ),
        (
            TokenizerConfig(kind="character"),
            ["", ""],
            "A character tokenizer needs text to be trained on. Received: none; check the corpus "
            "and the normalization.",
        ),
        (
            TokenizerConfig(kind="word"),
            [" \n"],
            "A word tokenizer needs text to be trained on. Received: none; check the corpus and "
            "the normalization.",
        ),
        (
            TokenizerConfig(kind="wordpiece"),
            ["\0 ", "x" * 101],
            "A wordpiece tokenizer needs text to be trained on. Received: none; check the corpus "
            "and the normalization.",
        ),
        (
            TokenizerConfig(kind="wordpiece", min_count=5),
            ["aab aa b"],
            "`min_count`=5 and `vocabulary_size`=8000 leave no word: the most frequent character "
            "occurs 4 times; change them or give more text.",
        ),
        (
            TokenizerConfig(kind="wordpiece", vocabulary_size=9),
            ["a"],
            "`vocabulary_size` must be at least 10 for a wordpiece tokenizer (5 are special). "
            "Received: 9.",
        ),
        (
            TokenizerConfig(),
            [],
            "A sentencepiece tokenizer needs text to be trained on. Received: none; check the "
            "corpus and the normalization.",
        ),
        (
            TokenizerConfig(),
            ["\n\t\0\u2585"],
            "A sentencepiece tokenizer needs text to be trained on. Received: none; check the "
            "corpus and the normalization.",
        ),
        (
            TokenizerConfig(kind="word", min_count=3),
            ["a a b"],
            "`min_count`=3 leaves nothing: the most frequent piece of the training text occurs 2 "
            "times; lower it or give more text.",
        ),
        (
            TokenizerConfig(kind="word", vocabulary_size=4),
            ["a"],
            "`vocabulary_size` must be at least 5 for a word tokenizer. Received: 4.",
        ),
        (
            TokenizerConfig(vocabulary_size=299),
            ["a"],
            "`vocabulary_size` must be at least 300 for a sentencepiece tokenizer (262 are fixed). "
            "Received: 299.",
        ),
    ],
)
def test_a_mistake_in_training_is_one_line(config, texts, message):
    with pytest.raises(UserError) as error:
        train(config, texts)
    assert str(error.value) == message
