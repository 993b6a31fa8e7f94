"""The store of tagged sentences, its windows and batches, against what stands in the files."""

import random

import numpy as np
import pytest

from tests.data.fake_tokenizer import ByteTokenizer
from tflm.data import encode, features
from tflm.data.corpora import DataConfig
from tflm.data.tag_schemes import convert, says_entities, with_all_prefixes
from tflm.data.tagged_batches import TaggedBatches
from tflm.data.tagged_split import TagReading, tagged_split, untagged_split
from tflm.data.tagged_store import build_tagged_store
from tflm.errors import UserError
from tflm.metrics.entities import convert_tags

READING = TagReading(window=16, overlap=4)
TRAIN = [
    ("Ada B-PER", "King I-PER", "met O", "Bob B-PER"),
    ("in O", "Rome B-LOC"),
    ("a O", "long O", "row O", "of O", "words O", "about O", "Ada B-PER", "in O", "Rome B-LOC"),
    ("in O", "Rome B-LOC"),
]
LABELS = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")


def rows(sentence) -> list[tuple[str, str]]:
    return [tuple(row.split()) for row in sentence]


@pytest.fixture
def files(tmp_path):
    def write(**splits) -> DataConfig:
        paths = {}
        for split, sentences in splits.items():
            paths[split] = tmp_path / f"{split}.conll"
            paths[split].write_text("".join("\n".join(s) + "\n\n" for s in sentences))
        named = {f"{split}_corpus": str(paths[split]) for split in paths if split != "train"}
        return DataConfig(corpus=str(paths["train"]), workers=1, **named)

    return write


def windows_of(split) -> list[tuple[str, list[tuple[str, int]]]]:
    """Of each window its text, and the words that count in it with their labels, found by the spaces."""
    ends = [*split.document_starts[1:], len(split.tokens)]
    found = []
    for start, end in zip(split.document_starts, ends, strict=True):
        assert (split.tokens[start], split.tokens[end - 1]) == (2, 3)
        ids, labels = split.tokens[start + 1 : end - 1], split.labels[start + 1 : end - 1]
        assert split.labels[start] == split.labels[end - 1] == -1
        text = ByteTokenizer().decode(ids)
        own = []
        for place in np.flatnonzero(labels >= 0):
            assert place == 0 or text[place - 1] == " "
            own.append((text[place:].split(" ")[0], int(labels[place])))
        found.append((text, own))
    return found


def sentences_of(split, labels) -> list[list[tuple[str, str]]]:
    windows = windows_of(split)
    bounds = [*split.sentence_starts, len(windows)]
    return [
        [(word, labels[label]) for _, own in windows[first:end] for word, label in own]
        for first, end in zip(bounds, bounds[1:], strict=False)
    ]


def test_every_word_has_its_label_in_one_window(files, tmp_path):
    config = files(train=TRAIN, validation=TRAIN[:2], test=TRAIN[2:])
    store = build_tagged_store(config, ByteTokenizer(), READING, tmp_path)
    assert store.labels == LABELS
    for name, sentences in (("train", TRAIN), ("validation", TRAIN[:2]), ("test", TRAIN[2:])):
        split = store.split(name)
        assert sentences_of(split, LABELS) == [rows(sentence) for sentence in sentences]
        assert max(len(text) for text, _ in windows_of(split)) <= 14
    assert store.split("test").num_documents > 3  # of two sentences
    card = store.card["splits"]
    assert card["train"]["by_label"] == {"B-LOC": 3, "B-PER": 3, "I-LOC": 0, "I-PER": 1, "O": 10}
    assert (card["train"]["sentences"], card["train"]["words"]) == (4, 17)
    texts = [" ".join(word for word, _ in rows(sentence)) for sentence in TRAIN]
    assert card["train"]["bytes"] == sum(map(len, texts))
    assert card["validation"]["shared_with_train"] == 2
    again = build_tagged_store(config, ByteTokenizer(), READING, tmp_path)
    assert again.folder == store.folder
    other = build_tagged_store(config, ByteTokenizer(), TagReading(16, 5), tmp_path)
    assert other.folder != store.folder


def test_splits_by_the_content_of_sentences(files, tmp_path, monkeypatch):
    sentences = [(f"word{i // 2} O", "and O", f"name{i % 7} B-X") for i in range(300)]
    config = files(train=sentences)
    store = build_tagged_store(config, ByteTokenizer(), READING, tmp_path / "1")
    parts = [sentences_of(store.split(n), store.labels) for n in ("train", "validation", "test")]
    assert sorted(sum(parts, [])) == sorted(map(rows, sentences))
    assert all(len(part) > 3 for part in parts)
    assert parts[0] == [rows(s) for s in sentences if rows(s) in parts[0]]
    monkeypatch.setattr(encode, "BATCH_CHARACTERS", 500)
    config.workers = 2
    together = build_tagged_store(config, ByteTokenizer(), READING, tmp_path / "2")
    assert together.card == store.card
    for field in ("tokens", "document_starts", "labels", "sentence_starts"):
        one, other = (getattr(s.split("train"), field) for s in (store, together))
        np.testing.assert_array_equal(one, other)


def test_a_file_in_memory_is_as_in_a_store(files, tmp_path):
    config = files(train=TRAIN, test=TRAIN[1:])
    store = build_tagged_store(config, ByteTokenizer(), READING, tmp_path)
    path = config.test_corpus
    found = tagged_split(path, ByteTokenizer(), LABELS, READING, DataConfig())
    assert windows_of(found) == windows_of(store.split("test"))
    words = [[word for word, _ in rows(sentence)] for sentence in TRAIN[1:]]
    bare = untagged_split(words, ByteTokenizer(), READING)
    assert [[w for w, _ in s] for s in sentences_of(bare, LABELS)] == words


def random_tags(source) -> list[str]:
    return [
        source.choice(["O", "O", *(f"{p}-{t}" for p in "BIES" for t in ("A", "B"))])
        for _ in range(source.randint(1, 9))
    ]


def test_schemes_are_those_of_the_metrics():
    source = random.Random(0)
    for _ in range(2000):
        tags = random_tags(source)
        for scheme in ("bio", "bioes"):
            assert convert(tags, scheme) == convert_tags(tags, scheme)
        assert convert(tags, "") == tags
    assert convert(["B-A", "M-A", "E-A", "S-B"], "bioes") == ["B-A", "I-A", "E-A", "S-B"]
    with pytest.raises(
        UserError, match="become BIOES. Leave the scheme as it is. Received: 'NOUN'"
    ):
        convert(["O", "NOUN"], "bioes")


def test_a_set_has_every_prefix_of_every_type():
    assert with_all_prefixes({"O", "B-A", "I-B"}) == {"O", "B-A", "I-A", "B-B", "I-B"}
    for labels in ({"NOUN", "VERB"}, {"B", "I", "O"}, {"O"}):
        assert with_all_prefixes(labels) == labels
        assert not says_entities(labels)


def test_a_store_in_bioes(files, tmp_path):
    config = files(train=TRAIN, validation=TRAIN)
    store = build_tagged_store(config, ByteTokenizer(), TagReading(16, 4, "bioes"), tmp_path)
    assert store.labels == tuple(
        sorted(["O", *(f"{p}-{t}" for p in "BES" for t in ("LOC", "PER"))])
    )
    first = sentences_of(store.split("train"), store.labels)[0]
    assert [tag for _, tag in first] == ["B-PER", "E-PER", "O", "S-PER"]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (
            {"train": TRAIN, "validation": [("in O", "it O"), ("Acme B-ORG",)]},
            "validation.conll, line 4: the label 'B-ORG' is none of the training text's. They are: B-LOC",
        ),
        ({"train": [("a X", "b X")]}, "words of two labels at least, but all"),
        (
            {"train": []},
            "train.conll holds no tagged sentence. Give a word and its tag a line, and",
        ),
    ],
)
def test_what_is_wrong_with_a_set(files, tmp_path, splits, message):
    with pytest.raises(UserError, match=message):
        build_tagged_store(files(**splits), ByteTokenizer(), READING, tmp_path)


def test_a_window_must_have_room():
    with pytest.raises(UserError, match=r"`objective.overlap` must be at least 0 .* of 8 tokens"):
        TagReading(8, 6).check("objective.")


def test_batches_have_every_window_of_a_pass(files, tmp_path):
    config = files(train=TRAIN * 5, validation=TRAIN)
    split = build_tagged_store(config, ByteTokenizer(), READING, tmp_path).split("train")
    batches = TaggedBatches(split, (0, 3), 16, 3, seed=None)
    windows, seen = windows_of(split), []
    for step in range(batches.num_batches):
        batch, numbers = batches.batch(step), batches.texts(step)
        shape = batch[features.TOKEN_IDS].shape
        assert shape in batches.shapes
        assert batch[features.WORD_POSITIONS].shape == (shape[0], shape[1] - 2)
        weights = batch[features.WEIGHTS]
        words = sum(len(windows[number][1]) for number in numbers)
        assert np.unique(weights[weights > 0]).tolist() == [np.float32(1 / words)]
        assert np.count_nonzero(weights) == words
        for row in range(shape[0]):
            is_word = weights[row] > 0
            assert (np.diff(is_word.astype(int)) <= 0).all()  # words come first
            text = "".join(
                chr(i - 4) if i > 3 else "." for i in batch[features.TOKEN_IDS][row].tolist()
            )
            found = [
                (text[place:].split(" ")[0].rstrip("."), label)
                for place, label in zip(
                    batch[features.WORD_POSITIONS][row][is_word],
                    batch[features.LABELS][row][is_word].tolist(),
                    strict=True,
                )
            ]
            assert found == (windows[numbers[row]][1] if row < len(numbers) else [])
        seen += numbers.tolist()
    assert sorted(seen) == list(range(split.num_documents))


def test_the_order_is_a_function_of_seed_and_step(files, tmp_path):
    config = files(train=TRAIN * 5, validation=TRAIN)
    split = build_tagged_store(config, ByteTokenizer(), READING, tmp_path).split("train")
    one, again, other = (TaggedBatches(split, (0, 3), 16, 3, seed) for seed in (1, 1, 2))
    for name, values in one.batch(9).items():
        np.testing.assert_array_equal(values, again.batch(9)[name])
    assert any((one.texts(step) != other.texts(step)).any() for step in range(4))
