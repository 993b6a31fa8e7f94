import dataclasses

import numpy as np
import pytest

from tflm import config as configs
from tflm.data.corpora import DataConfig
from tflm.errors import UserError
from tflm.text import tokenizer as tokenizers
from tflm.text.tokenizer import TokenizerConfig
from trainers.evaluation import held_out


def _data(path, **fields) -> dict:
    return configs.to_dict(dataclasses.replace(DataConfig(corpus=str(path)), **fields))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("The old  captain.\nNobody sees, 你好!\n" * 20, encoding="utf-8")
    return path


def _tokenizer(text, **fields):
    return tokenizers.train(TokenizerConfig(**fields), [text.read_text(encoding="utf-8")])


@pytest.mark.parametrize(
    ("fields", "before", "after"),
    [
        (
            {"kind": "byte", "normalization": ("lowercase",)},
            "The old  captain.",
            "the old  captain.",
        ),
        ({"kind": "word"}, "The old  captain.", "The old captain."),
        ({"kind": "character", "normalization": ("nfkc",)}, None, None),
        ({"kind": "character"}, None, None),
        ({"kind": "byte"}, None, None),
    ],
)
def test_whether_a_tokenizer_changes_the_text(text, fields, before, after):
    changed = held_out.changed_text(_tokenizer(text, **fields), _data(text))
    assert changed == (None if before is None else (before, after))


def test_unknown_tokens_are_no_change_of_the_text(text, tmp_path):
    tokenizer = _tokenizer(text, kind="character")
    other = tmp_path / "other.txt"
    other.write_text("Zebra\nold\n")
    assert tokenizer.decode(tokenizer.encode("Zebra")) != "Zebra"
    assert held_out.changed_text(tokenizer, _data(other)) is None


def test_the_fingerprint_is_of_the_text_and_its_split(text, tmp_path):
    copy = tmp_path / "copy.txt"
    copy.write_bytes(text.read_bytes())
    expected = held_out.text_fingerprint(_data(text))
    assert held_out.text_fingerprint(_data(copy, workers=1)) == expected
    assert held_out.text_fingerprint(_data(text, test_fraction=0.2)) != expected
    copy.write_bytes(text.read_bytes() + b".")
    assert held_out.text_fingerprint(_data(copy)) != expected


def test_a_file_as_a_split(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("ab c\n\né 你\n", encoding="utf-8")
    tokenizer = tokenizers.train(TokenizerConfig(kind="byte"), [])
    split = held_out.split_of_file(str(path), tokenizer, _data("elsewhere", documents="line"))
    expected = []
    for line in ("ab c", "é 你"):
        expected += [2, *(byte + 4 for byte in line.encode()), 3]
    np.testing.assert_array_equal(split.tokens, expected)
    assert list(split.document_starts) == [0, 6]
    assert (split.num_bytes, split.num_characters, split.num_words) == (4 + 6, 4 + 3, 4)
    assert (split.num_documents, split.num_unknown) == (2, 0)


def test_a_file_that_is_not_there_or_empty(tmp_path):
    tokenizer = tokenizers.train(TokenizerConfig(kind="byte"), [])
    with pytest.raises(UserError, match="There is no file"):
        held_out.split_of_file(str(tmp_path / "x.txt"), tokenizer, _data("x"))
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(UserError, match="holds no text"):
        held_out.split_of_file(str(tmp_path / "x.txt"), tokenizer, _data("x"))


def test_bos_and_eos_do_not_dilute_the_share_of_unknown_tokens(tmp_path, text):
    path = tmp_path / "x.txt"
    path.write_text("old\nxyd\n")
    split = held_out.split_of_file(
        str(path), _tokenizer(text, kind="character"), _data("x", documents="line")
    )
    assert split.unknown_share == pytest.approx(1 / 6)  # x; "y" and "d" are known
