"""The splits of cross-validation: every document outside the test split is validated on once, by its content."""

import numpy as np
import pytest

from tests.data.fake_tokenizer import ByteTokenizer
from tflm.data.corpora import DataConfig
from tflm.data.encode import hash_documents
from tflm.data.labelled_store import build_labelled_store
from tflm.data.splits import TEST, TRAIN, VALIDATION, SplitRule
from tflm.data.store import build_store
from tflm.data.training_texts import training_texts
from tflm.errors import UserError

FOLDS = 5
LINES = [f"line number {i}" for i in range(400)]


def config_of(tmp_path, **fields) -> DataConfig:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    settings = {"corpus": str(path), "documents": "line", "workers": 1, "folds": FOLDS}
    return DataConfig(**(settings | fields))


def texts_of(store, split: str) -> list[str]:
    """ByteTokenizer: ids of bytes from 4 on, BOS 2 and EOS 3 around each document."""
    tokens = np.asarray(store.split(split).tokens)
    starts = [*store.split(split).document_starts, len(tokens)]
    return [
        bytes(int(t) - 4 for t in tokens[a + 1 : b - 1]).decode()
        for a, b in zip(starts[:-1], starts[1:], strict=True)
    ]


def test_every_document_is_validated_on_once_and_the_test_split_is_always_the_same(tmp_path):
    stores = [
        build_store(config_of(tmp_path, fold=fold), ByteTokenizer(), tmp_path)
        for fold in range(FOLDS)
    ]
    test = texts_of(build_store(config_of(tmp_path, folds=0), ByteTokenizer(), tmp_path), "test")
    validated = []
    for store in stores:
        validation, train = texts_of(store, "validation"), texts_of(store, "train")
        assert texts_of(store, "test") == test
        assert sorted(validation + train + test) == sorted(LINES)
        assert 50 <= len(validation) <= 105  # 380 / 5 = 76, and three standard deviations
        validated += validation
    assert sorted(validated) == sorted(set(LINES) - set(test))


def test_the_fold_of_a_hash_by_hand():
    """As fractions of 1, with the test split at [0.2, 0.3): 0.1 and 0.95 of what is left are at 1/9 and 8.5/9."""
    places = np.array([0.0, 0.1, 0.19, 0.21, 0.29, 0.31, 0.5, 0.95, 1 - 2**-53])
    hashes = (places * 2.0**53).astype(np.uint64) << np.uint64(11)
    left = [0.0, 1 / 9, 0.19 / 0.9, None, None, 0.21 / 0.9, 4 / 9, 8.5 / 9, 1 - 2**-53]
    for fold in range(3):
        expected = [
            TEST if x is None else VALIDATION if int(x * 3) == fold else TRAIN for x in left
        ]
        assert SplitRule(0.2, 0.1, 3, fold).split_of(hashes).tolist() == expected


def test_the_tokenizer_sees_no_held_out_document(tmp_path):
    config = config_of(tmp_path, fold=1)
    store = build_store(config, ByteTokenizer(), tmp_path)
    texts = list(training_texts(config, 0, 0, tmp_path))
    assert sorted(texts) == sorted(texts_of(store, "train"))


def test_a_named_corpus_own_validation_split_is_not_used(tmp_path, monkeypatch):
    from tflm.data import named

    files = {}
    for split in ("train", "validation", "test"):
        (tmp_path / split).write_text("\n".join(f"{split} {line}" for line in LINES))
        files[split] = tmp_path / split
    monkeypatch.setitem(named.NAMED, "tiny", files)
    monkeypatch.setattr(named, "download", lambda file, folder, progress: file)
    store = build_store(config_of(tmp_path, corpus="tiny", fold=2), ByteTokenizer(), tmp_path)
    assert {text.split()[0] for text in texts_of(store, "validation")} == {"train"}
    assert len(texts_of(store, "test")) == len(LINES)
    assert len(texts_of(store, "train") + texts_of(store, "validation")) == len(LINES)


def test_labelled_texts_have_the_same_folds(tmp_path):
    path = tmp_path / "labelled.tsv"
    path.write_text("".join(f"{'ab'[i % 2]}\t{line}\n" for i, line in enumerate(LINES)))
    config = config_of(tmp_path, corpus=str(path), fold=3)
    store = build_labelled_store(config, ByteTokenizer(), tmp_path)
    rule = SplitRule(config.validation_fraction, config.test_fraction, FOLDS, 3)
    splits = rule.split_of(hash_documents(LINES))
    for number, name in ((TRAIN, "train"), (VALIDATION, "validation"), (TEST, "test")):
        expected = [line for line, split in zip(LINES, splits, strict=True) if split == number]
        assert texts_of(store, name) == expected
    assert store.labels == ("a", "b")


@pytest.mark.parametrize("kind", [build_store, build_labelled_store])
def test_too_few_documents_for_so_many_folds(tmp_path, kind):
    path = tmp_path / "few.txt"
    path.write_text("".join(f"{'ab'[i % 2]}\t{line}\n" for i, line in enumerate(LINES[:3])))
    said = "too few for the .*have fewer folds than 40, or set --config.data.test_fraction=0"
    with pytest.raises(UserError, match=said):
        kind(config_of(tmp_path, corpus=str(path), folds=40), ByteTokenizer(), tmp_path)
