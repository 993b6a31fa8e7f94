"""The store of labelled texts: what is in it, whatever the number of processes, and what is wrong with sets."""

import numpy as np
import pytest

from tests.data.fake_tokenizer import ByteTokenizer
from tflm.data import encode
from tflm.data.corpora import DataConfig
from tflm.data.labelled_store import build_labelled_store, labelled_split, unlabelled_split
from tflm.errors import UserError

TRAIN = [("pos", "good film"), ("neg", "bad"), ("pos", "fine"), ("neg", "bad"), ("mid", "so so")]
LABELS = ("mid", "neg", "pos")


@pytest.fixture
def files(tmp_path):
    def write(**splits) -> DataConfig:
        paths = {}
        for split, rows in splits.items():
            paths[split] = tmp_path / f"{split}.tsv"
            paths[split].write_text("".join(f"{label}\t{text}\n" for label, text in rows))
        return DataConfig(
            corpus=str(paths["train"]),
            validation_corpus=str(paths["validation"]) if "validation" in paths else None,
            test_corpus=str(paths["test"]) if "test" in paths else None,
            workers=1,
        )

    return write


def rows_of(split, labels) -> list[tuple[str, str]]:
    ends = [*split.document_starts[1:], len(split.tokens)]
    tokens = [split.tokens[a:b] for a, b in zip(split.document_starts, ends, strict=True)]
    assert all(ids[0] == 2 and ids[-1] == 3 for ids in tokens)
    texts = [ByteTokenizer().decode(ids) for ids in tokens]
    return [(labels[i], text) for i, text in zip(split.labels, texts, strict=True)]


def test_splits_that_are_given(files, tmp_path):
    held_out = [("neg", "bad"), ("mid", "hm")]
    config = files(train=TRAIN, validation=held_out, test=held_out[1:])
    store = build_labelled_store(config, ByteTokenizer(), tmp_path)
    assert store.labels == LABELS
    assert rows_of(store.split("train"), LABELS) == TRAIN
    assert rows_of(store.split("validation"), LABELS) == held_out
    assert rows_of(store.split("test"), LABELS) == held_out[1:]
    card = store.card["splits"]
    assert card["train"]["by_label"] == {"mid": 1, "neg": 2, "pos": 2}
    assert (card["train"]["documents"], card["train"]["bytes"]) == (5, 24)
    assert card["validation"]["shared_with_train"] == 1
    assert card["test"]["shared_with_train"] == 0
    assert build_labelled_store(config, ByteTokenizer(), tmp_path).folder == store.folder


def test_splits_by_the_content_of_texts(files, tmp_path):
    rows = [("ab"[i % 2], f"text {i // 2}") for i in range(600)]  # each text twice
    store = build_labelled_store(files(train=rows), ByteTokenizer(), tmp_path)
    parts = [rows_of(store.split(name), store.labels) for name in ("train", "validation", "test")]
    assert sorted(sum(parts, [])) == sorted(rows)
    assert all(len(part) > 5 for part in parts)
    texts = [{text for _, text in part} for part in parts]
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])
    assert parts[0] == [row for row in rows if row in set(parts[0])]


def test_a_tiny_set_has_every_split(files, tmp_path):
    rows = [("ab"[i % 2], f"text {i}") for i in range(4)]
    store = build_labelled_store(files(train=rows), ByteTokenizer(), tmp_path)
    sizes = [store.split(name).num_documents for name in ("train", "validation", "test")]
    assert sum(sizes) == 4
    assert min(sizes) >= 1


def test_many_processes_write_the_same(files, tmp_path, monkeypatch):
    rows = [(f"label {i % 7}", f"text {i} " * (i % 5 + 1)) for i in range(500)]
    config = files(train=rows)
    alone = build_labelled_store(config, ByteTokenizer(), tmp_path / "1")
    monkeypatch.setattr(encode, "BATCH_CHARACTERS", 500)
    config.workers = 2
    reports = []
    together = build_labelled_store(
        config, ByteTokenizer(), tmp_path / "2", lambda *report: reports.append(report)
    )
    assert alone.card == together.card
    for name in ("train", "validation", "test"):
        one, other = alone.split(name), together.split(name)
        for field in ("tokens", "document_starts", "labels"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert ("tokenize", reports[-1][2], reports[-1][2]) == reports[-1]


def test_a_label_decides_the_store(files, tmp_path):
    first = build_labelled_store(files(train=TRAIN, validation=TRAIN), ByteTokenizer(), tmp_path)
    rows = [("good" if label == "pos" else label, text) for label, text in TRAIN]
    other = build_labelled_store(files(train=rows, validation=rows), ByteTokenizer(), tmp_path)
    assert first.fingerprint != other.fingerprint
    assert other.labels == ("good", "mid", "neg")


def test_a_damaged_store_is_built_again(files, tmp_path):
    config = files(train=TRAIN, validation=TRAIN, test=TRAIN)
    store = build_labelled_store(config, ByteTokenizer(), tmp_path)
    (store.folder / "train.labels.bin").write_bytes(b"1234")
    again = build_labelled_store(config, ByteTokenizer(), tmp_path)
    assert rows_of(again.split("train"), LABELS) == TRAIN


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (
            {"train": TRAIN, "validation": [("neg", "bad"), ("worst", "x")]},
            "validation.tsv, line 2: the label 'worst' is none of the training text's. They are: mid, neg, pos",
        ),
        ({"train": [("a", "x"), ("a", "y")]}, "texts of two labels at least, but all of .* 'a'"),
        ({"train": []}, "train.tsv holds no labelled text. Give one a line: label, tab, text;"),
        ({"train": TRAIN, "test": []}, "test.tsv holds no labelled text"),
        ({"train": [("a", "x"), ("b", "y")]}, "has 2 labelled texts, too few for the validation"),
        ({"train": [("a", "x"), ("b", "")]}, "train.tsv, line 2: wanted a label and a text"),
    ],
)
def test_what_is_wrong(files, tmp_path, splits, message):
    with pytest.raises(UserError, match=message):
        build_labelled_store(files(**splits), ByteTokenizer(), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("labelled_stores/*/"))


def test_bad_files_can_be_passed_over(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.tsv").write_text("a\tx\nb\ty\na\tz\nb\tv\n")
    (folder / "b.tsv").write_text("a\tx\nb\n")
    config = DataConfig(corpus=str(folder), on_bad_file="skip", workers=1)
    store = build_labelled_store(config, ByteTokenizer(), tmp_path)
    assert store.card["skipped_files"] == {"unknown_kind": 0, "bad": 1}
    assert "b.tsv, line 2" in store.card["bad_files"][0]
    assert sum(split["documents"] for split in store.card["splits"].values()) == 4


def test_a_file_in_memory(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("__label__pos good\n__label__mid so\n")
    split = labelled_split(path, ByteTokenizer(unknown=b"g"), LABELS, DataConfig())
    assert split.labels.tolist() == [2, 0]
    assert (split.num_documents, split.num_words, split.num_bytes, split.num_unknown) == (
        2,
        2,
        6,
        1,
    )
    path.write_text("__label__good good\n")
    with pytest.raises(UserError, match="file.txt, line 1: the label 'good' is none of the train"):
        labelled_split(path, ByteTokenizer(), LABELS, DataConfig())
    path.write_text("")
    with pytest.raises(UserError, match="holds no labelled text"):
        labelled_split(path, ByteTokenizer(), LABELS, DataConfig())
    split = unlabelled_split(["x", "", "yz"], ByteTokenizer())
    assert split.document_starts.tolist() == [0, 3, 5]
    assert split.labels.tolist() == [0, 0, 0]
