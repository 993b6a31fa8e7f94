"""WordPiece against Hugging Face's BertTokenizers, and the files of published vocabularies.

The golden files were made by tests/golden/make_wordpiece.py with transformers 4.57.6.
"""

import json
import pydoc_data.topics
import shutil
import unicodedata

import pytest
import tokenizers as hugging_face
from nasty_strings import NASTY_STRINGS, random_strings

from tests.conftest import ROOT
from tflm.errors import UserError
from tflm.text import bert_files
from tflm.text.tokenizer import TokenizerConfig, load, train

GOLDEN = ROOT / "tests" / "golden" / "wordpiece"
IDS = json.loads((GOLDEN / "ids.json").read_text(encoding="utf-8"))
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PROSE = list(pydoc_data.topics.topics.values())[:40]
CHINESE = ["中文分词很难，是吗？“是的”。我来到北京清华大学。混合 English 2024年\n"] * 3


def published(tmp_path, name, **settings):
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(GOLDEN / f"{name}.txt", folder / "vocab.txt")
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module", params=["cased", "uncased"])
def golden(request, tmp_path_factory):
    """A vocabulary's name, and our tokenizer of it."""
    name = request.param
    folder = published(tmp_path_factory.mktemp("golden"), name, do_lower_case=name == "uncased")
    return name, load(folder)


def test_ids_are_those_of_the_fast_tokenizer(golden):
    name, tokenizer = golden
    special = 0
    for text, expected in zip(IDS["texts"], IDS[f"{name}_fast"], strict=True):
        if any(piece in text for piece in SPECIAL):  # there, a literal one is the special one
            special += 1
            assert {*expected} & {*tokenizer.special_ids} - {tokenizer.unk_id}
            assert not {*tokenizer.encode(text)} & {*tokenizer.special_ids} - {tokenizer.unk_id}
        else:
            assert tokenizer.encode(text) == expected, ascii(text)
    assert special == 3


def test_ids_are_those_of_the_slow_tokenizer_but_for_what_is_said(golden):
    """It drops what its Unicode does not know, and composes; the uncased one decomposes after that."""
    name, tokenizer = golden
    compared = 0
    for text, expected in zip(IDS["texts"], IDS[f"{name}_slow"], strict=True):
        is_assigned = not any(unicodedata.category(char) in ("Cn", "Cs") for char in text)
        is_composed = name == "uncased" or unicodedata.is_normalized("NFC", text)
        if is_assigned and is_composed and not any(piece in text for piece in SPECIAL):
            compared += 1
            assert tokenizer.encode(text) == expected, ascii(text)
    assert compared > 60


def test_special_ids_of_a_published_vocabulary(golden):
    _, tokenizer = golden
    assert tokenizer.special_ids == (0, 10, 11, 12, 13)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.mask_id) == (11, 12, 13)
    assert tokenizer.decode([11, 0, *tokenizer.encode("a b"), 13, 12, -1]) == "a b [UNK]"


def test_words_of_a_text(golden):
    name, tokenizer = golden
    ids = tokenizer.encode("[SEP] a##a")
    sep = ["SEP"] if name == "cased" else ["sep"]
    assert [tokenizer.piece(i) for i in ids] == ["[", *sep, "]", "a", "#", "#", "a"]
    assert tokenizer.encode("x" * 101) == [tokenizer.unk_id]


def test_offsets_by_hand(golden):
    _, tokenizer = golden
    text = "a\u200b,  [SEP]  é中 \ue000x"
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids == tokenizer.encode(text)
    words = [(0, 1), (2, 3), (5, 6), (6, 9), (9, 10), (12, 13), (13, 14), (16, 17)]
    assert list(map(tuple, offsets.tolist())) == words


def test_settings_say_how_a_text_is_made_ready(tmp_path):
    folder = published(tmp_path, "uncased")
    assert load(folder).rules.lowercase and load(folder).rules.strip_accents
    settings = {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    rules = load(folder).rules
    assert (rules.lowercase, rules.strip_accents, rules.split_chinese) == (True, False, False)
    folder = published(tmp_path, "cased")  # its pieces have capital letters
    assert not load(folder).rules.lowercase and not load(folder).rules.strip_accents


def test_saved_as_our_own(golden, tmp_path):
    _, tokenizer = golden
    tokenizer.save(tmp_path)
    loaded = load(tmp_path)
    assert loaded.special_ids == tokenizer.special_ids
    assert loaded.fingerprint() == tokenizer.fingerprint()
    assert loaded.encode_batch(IDS["texts"]) == tokenizer.encode_batch(IDS["texts"])
    (tmp_path / "vocab.txt").write_text("a\n")
    with pytest.raises(UserError, match=r"/vocab\.txt is not the file that was saved"):
        load(tmp_path)


def test_written_for_hugging_face_and_back(golden, tmp_path):
    name, tokenizer = golden
    bert_files.write_folder(tokenizer, tmp_path)
    theirs = hugging_face.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text, expected in zip(IDS["texts"], IDS[f"{name}_fast"], strict=True):
        assert theirs.encode(text, add_special_tokens=False).ids == expected
    assert theirs.encode("a").ids == [11, *tokenizer.encode("a"), 12]
    for missing in ("", "vocab.txt", "tokenizer_config.json"):
        (tmp_path / (missing or "special_tokens_map.json")).unlink(missing_ok=True)
        loaded = load(tmp_path)
        assert loaded.fingerprint() == tokenizer.fingerprint()
    with_steps = train(TokenizerConfig(kind="wordpiece", normalization=("nfc",)), ["a"])
    with pytest.raises(UserError, match=r"cannot be written as Hugging Face's\. .*=nfc\."):
        bert_files.write_folder(with_steps, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "BPE"}}, "must have model.type='WordPiece', as a BERT has. Received"),
        ({"normalizer": None}, "must have normalizer.type='BertNormalizer', as a BERT has."),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "must have pre_tokenizer.type='BertPreTo"),
        ({"added_tokens": [{"id": 10**6, "content": "<e1>"}]}, "has 1 tokens that were added"),
    ],
)
def test_files_of_other_tokenizers_are_named(golden, tmp_path, change, message):
    bert_files.write_folder(golden[1], tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}))
    with pytest.raises(UserError) as error:
        load(tmp_path)
    assert str(error.value).startswith(f"{path} {message}")


def test_vocabularies_that_cannot_be_are_named(tmp_path):
    folder = published(tmp_path, "cased", tokenizer_class="BertJapaneseTokenizer")
    with pytest.raises(UserError, match=r"splits words in another way \(BertJapaneseTokenizer\)"):
        load(folder)
    (folder / "tokenizer_config.json").write_text("[]")
    with pytest.raises(UserError, match=r"/tokenizer_config\.json must hold settings by name"):
        load(folder)
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\na\n")
    with pytest.raises(UserError, match=r"/vocab\.txt: .* special piece for eos_id, \[SEP\]\."):
        load(folder)
    (folder / "vocab.txt").write_bytes(b"\xff\n")
    with pytest.raises(UserError, match=r"/vocab\.txt must be UTF-8, a piece a line \("):
        load(folder)


def test_unknown_places_in_a_vocabulary(tmp_path):
    """No [MASK], Windows' line ends, an empty line, a piece twice: the last one counts."""
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "", "##", "b", "a", "##b"]
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(lines).encode())
    tokenizer = load(tmp_path)
    assert tokenizer.vocabulary_size == 10
    assert (tokenizer.mask_id, tokenizer.special_ids) == (None, (0, 1, 2, 3))
    assert tokenizer.encode("a b ab ##b [CLS]") == [8, 7, 8, 9, 1, 1, 7, 1, 1, 1]


def test_special_pieces_without_brackets_are_not_in_reach(tmp_path):
    (tmp_path / "vocab.txt").write_text("pad\nunk\nbegin\nend\nhide\nhi\n##de\n")
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    pieces = dict(zip(names, ("pad", "unk", "begin", {"content": "end"}, "hide"), strict=True))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(pieces))
    tokenizer = load(tmp_path)
    assert tokenizer.special_ids == (0, 1, 2, 3, 4)
    assert tokenizer.encode("pad begin end hide unk") == [1, 1, 1, 5, 6, 1]


def test_learning_by_hand():
    """low 5 times, lower 2, newest 6, widest 3: the example of Sennrich et al. 2016, section 3.2."""
    text = "low low low low low lower lower newest newest newest newest newest newest " + (
        "widest widest widest"
    )
    tokenizer = train(TokenizerConfig(kind="wordpiece", vocabulary_size=100), [text])
    characters = sorted({*text} - {" "})
    inner = sorted({f"##{char}" for word in text.split() for char in word[1:]})
    start = [*SPECIAL, *inner, *characters]
    assert tokenizer.pieces[: len(start)] == start
    # 9 times e-s, and es-t; then 7 times o-w, before l-o since inner pieces come first; l-ow.
    assert tokenizer.pieces[len(start) :][:4] == ["##es", "##est", "##ow", "low"]
    pieces = [tokenizer.piece(i) for i in tokenizer.encode("lowest lowx")]
    assert pieces == ["low", "##est", "[UNK]"]
    size = 2 * len(start) - 5  # half of it for characters
    small = train(TokenizerConfig(kind="wordpiece", vocabulary_size=size), [text])
    assert small.pieces == tokenizer.pieces[:size]


def test_rare_characters_leave_room_for_words():
    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    config = TokenizerConfig(kind="wordpiece", vocabulary_size=205)
    tokenizer = train(config, [*PROSE, rare])
    assert tokenizer.vocabulary_size == 205
    assert sum(len(piece.removeprefix("##")) > 1 for piece in tokenizer.pieces[5:]) > 50
    frequent = train(TokenizerConfig(kind="wordpiece", min_count=3), [*CHINESE, rare])
    assert frequent.token_id("中") and frequent.token_id("\u4e01") is None


def test_the_same_words_give_the_same_vocabulary():
    """Whatever the order of the texts is, and however they are cut into documents."""
    config = TokenizerConfig(kind="wordpiece", vocabulary_size=600)
    first = train(config, PROSE + CHINESE)
    assert train(config, CHINESE + PROSE[::-1]).pieces == first.pieces
    assert train(config, ["\n".join(PROSE + CHINESE)]).pieces == first.pieces


def test_decoding_is_readable():
    texts = ["the class don't, () a! # b", *CHINESE, "한국어 텍스트"]
    tokenizer = train(TokenizerConfig(kind="wordpiece"), texts)
    for text in ("(the class), don't!", "中文分词很难，是吗？“是的”。", "한국어 텍스트", "a # b"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_uncased_is_lower_case_without_accents():
    tokenizer = train(TokenizerConfig(kind="wordpiece", uncased=True), ["ÉTÉ naïve Ωμέγα"])
    assert tokenizer.encode("été NAIVE") == tokenizer.encode("ete naïve")
    assert tokenizer.unk_id not in tokenizer.encode("ÉTÉ naïve Ωμέγα")
    assert tokenizer.decode(tokenizer.encode("ÉTÉ naïve Ωμέγα")) == "ete naive ωμεγα"


def test_batches_are_single_texts():
    tokenizer = train(TokenizerConfig(kind="wordpiece", vocabulary_size=3000), PROSE)
    texts = [*NASTY_STRINGS, *random_strings(100, seed=12)]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
