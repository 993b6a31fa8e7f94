"""Files of tokenizers that are missing, damaged or of another program: each is named in one line."""

import hashlib
import io
import json

import pytest
import sentencepiece

from tflm.errors import UserError
from tflm.text.tokenizer import TokenizerConfig, load, train

CONFIGS = {
    "byte": TokenizerConfig(kind="byte"),
    "character": TokenizerConfig(kind="character"),
    "words": TokenizerConfig(kind="word"),
    "unigram": TokenizerConfig(vocabulary_size=300),
    "wordpiece": TokenizerConfig(kind="wordpiece"),
}


@pytest.fixture(scope="module")
def trained():
    return {name: train(config, ["hello world"] * 9) for name, config in CONFIGS.items()}


def test_missing_files_are_named(trained, tmp_path):
    with pytest.raises(UserError, match=r"file .*/nowhere/tokenizer\.json cannot be read \(No su"):
        load(tmp_path / "nowhere")
    trained["unigram"].save(tmp_path)
    (tmp_path / "tokenizer.model").unlink()
    with pytest.raises(UserError, match=r"file .*/tokenizer\.model cannot be read \(No such file"):
        load(tmp_path)


def test_an_unwritable_folder_is_named(trained, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"/file/tokenizer\.json cannot be written \("):
        trained["byte"].save(tmp_path / "file")


def test_a_corrupt_model_is_named(trained, tmp_path):
    trained["unigram"].save(tmp_path)
    path = tmp_path / "tokenizer.model"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"/tokenizer\.model is not the file that was saved"):
        load(tmp_path)


def test_a_huge_file_is_refused_unread(trained, tmp_path):
    with open(tmp_path / "tokenizer.json", "wb") as file:
        file.truncate(1 << 30)  # sparse
    with pytest.raises(UserError, match=r"/tokenizer\.json is larger than 268435456 bytes"):
        load(tmp_path)


@pytest.mark.parametrize("data", [b"", b'{"format', b"[" * 100_000, b"\xff\xfe", b"\0"])
def test_a_tokenizer_file_that_is_no_json_is_named(tmp_path, data):
    (tmp_path / "tokenizer.json").write_bytes(data)
    with pytest.raises(UserError, match=r"/tokenizer\.json is not valid JSON \(.*restore it"):
        load(tmp_path)


def test_a_model_of_another_program_is_named(trained, tmp_path):
    trained["unigram"].save(tmp_path)
    for model, message in (
        (b"not a model", r"/tokenizer\.model is not a SentencePiece model"),
        (_foreign_model(), r"must have <pad> <unk> <s> </s> as ids 0 1 2 3. Received: \(-1, 0, 1"),
    ):
        (tmp_path / "tokenizer.model").write_bytes(model)
        values = json.loads((tmp_path / "tokenizer.json").read_text())
        values["model_sha256"] = hashlib.sha256(model).hexdigest()
        (tmp_path / "tokenizer.json").write_text(json.dumps(values))
        with pytest.raises(UserError, match=message):
            load(tmp_path)


def _foreign_model() -> bytes:
    output = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c"]),
        model_writer=output,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return output.getvalue()


def _without(values, key):
    return {name: value for name, value in values.items() if name != key}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("byte", lambda v: [v], "must have format_version 1. Received: None."),
        ("byte", lambda v: {**v, "format_version": 2}, "must have format_version 1. Received: 2."),
        ("byte", lambda v: {**v, "kind": "bytes"}, "Unknown tokenizer kind 'bytes'."),
        ("byte", lambda v: _without(v, "kind"), "Unknown tokenizer kind None."),
        ("byte", lambda v: {**v, "extra": 1}, "Unknown key 'extra'. Known keys: normalization."),
        ("byte", lambda v: _without(v, "normalization"), "The key 'normalization' is missing."),
        ("byte", lambda v: {**v, "normalization": "nfc"}, "'normalization' must be list."),
        ("byte", lambda v: {**v, "normalization": [1]}, "'normalization' must hold names."),
        ("byte", lambda v: {**v, "normalization": ["x"]}, "Unknown normalization step 'x'."),
        ("character", lambda v: {**v, "pieces": ["ab"]}, "'pieces' must be single characters."),
        ("character", lambda v: {**v, "pieces": ["a", "a"]}, "must be different from each other."),
        ("character", lambda v: {**v, "pieces": [7]}, "'pieces' must be single characters."),
        ("words", lambda v: {**v, "pieces": ["<s>"]}, "must not hold the special piece <s>."),
        ("words", lambda v: {**v, "pieces": [""]}, "'pieces' must be words."),
        ("words", lambda v: {**v, "letters": [[9, 3]]}, "must be ranges of code points."),
        ("words", lambda v: {**v, "letters": [[9]]}, "must be pairs of code points."),
        ("words", lambda v: {**v, "letters": []}, "'letters' belongs to split 'words'"),
        ("words", lambda v: {**v, "split": "x"}, "Unknown word split 'x'."),
        ("wordpiece", lambda v: {**v, "lowercase": 1}, "'lowercase' must be bool. Received: 1."),
        ("wordpiece", lambda v: {**v, "special_pieces": {"pad": 3}}, "must hold pieces. Rec"),
        (
            "wordpiece",
            lambda v: {**v, "special_pieces": {**v["special_pieces"], "eos": "[CLS]"}},
            "'special_pieces' must be different from each other.",
        ),
        (
            "wordpiece",
            lambda v: {**v, "special_pieces": _without(v["special_pieces"], "bos")},
            "The vocabulary must hold the special piece for bos_id, None.",
        ),
        ("unigram", lambda v: {**v, "model_sha256": 5}, "'model_sha256' must be str. Received: 5."),
    ],
)
def test_a_wrong_tokenizer_file_is_named(trained, tmp_path, name, change, message):
    trained[name].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))))
    with pytest.raises(UserError) as error:
        load(tmp_path)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
