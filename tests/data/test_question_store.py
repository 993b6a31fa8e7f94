"""The store of questions: what is in it, whatever the number of processes, and how its windows become batches."""

import json

import numpy as np
import pytest

from tflm.data import encode, features
from tflm.data.corpora import DataConfig
from tflm.data.encoded_questions import WindowLimits
from tflm.data.question_store import (
    build_question_store,
    describe_questions,
    question_split,
    question_texts,
    split_of_questions,
)
from tflm.data.questions import Answer, Question, read_questions
from tflm.data.text_batches import TextBatches
from tflm.errors import UserError
from tflm.text.tokenizer import TokenizerConfig, train

TOKENIZER = train(TokenizerConfig(kind="byte"), [])
LIMITS = WindowLimits(window_tokens=24, doc_stride=8, max_question_tokens=4)


def ids(text: str) -> list[int]:
    return [byte + 4 for byte in text.encode()]


def squad(*paragraphs) -> dict:
    """Of (context, [(id, question, answers or None for there being none)])."""
    values = []
    for context, asked in paragraphs:
        qas = []
        for question_id, question, answers in asked:
            given = [{"text": t, "answer_start": context.find(t)} for t in answers or ()]
            impossible = answers is None
            qas.append(
                {"id": question_id, "question": question, "answers": given}
                | {"is_impossible": impossible}
            )
        values.append({"context": context, "qas": qas})
    return {"data": [{"paragraphs": values}]}


@pytest.fixture
def files(tmp_path):
    def write(**splits) -> DataConfig:
        paths = {}
        for split, values in splits.items():
            paths[split] = tmp_path / f"{split}.json"
            paths[split].write_text(json.dumps(values))
        return DataConfig(
            corpus=str(paths["train"]),
            validation_corpus=str(paths["validation"]) if "validation" in paths else None,
            test_corpus=str(paths["test"]) if "test" in paths else None,
            workers=1,
        )

    return write


CONTEXT = "abcdefghijklmnopqrstuvwxyz"  # 26 tokens
TRAIN = squad(
    (CONTEXT, [("q0", "where?", ["jkl", "x"]), ("q1", "no", None)]),
    ("short", [("q2", "x", ["own words"]), ("q3", "é", ["hort"])]),
)
HELD_OUT = squad(("short", [("q0", "x", ["own words"]), ("q4", "?", ["s"])]))


def windows_of(split) -> list[tuple]:
    ends = [*split.document_starts[1:], len(split.tokens)]
    return [
        (split.tokens[a:b].tolist(), int(place), labels.tolist())
        for a, b, place, labels in zip(
            split.document_starts, ends, split.segment_starts, split.labels, strict=True
        )
    ]


def hand_windows():
    """Room for 17 tokens of the context behind `bos wher eos` and before eos: from a, i; the answer is 9 to 11.

    Behind `bos no eos` it is 19 tokens: from a, i. The answer "hort" is behind `bos é eos` with its two bytes.
    """
    return [
        ([2, *ids("wher"), 3, *ids(CONTEXT[:17]), 3], 6, [6 + 9, 6 + 11]),
        ([2, *ids("wher"), 3, *ids(CONTEXT[8:25]), 3], 6, [6 + 1, 6 + 3]),
        ([2, *ids("wher"), 3, *ids(CONTEXT[16:]), 3], 6, [0, 0]),
        ([2, *ids("no"), 3, *ids(CONTEXT[:19]), 3], 4, [0, 0]),
        ([2, *ids("no"), 3, *ids(CONTEXT[8:]), 3], 4, [0, 0]),
        ([2, *ids("é"), 3, *ids("short"), 3], 4, [4 + 1, 4 + 4]),
    ]


def test_splits_that_are_given(files, tmp_path):
    config = files(train=TRAIN, validation=HELD_OUT, test=HELD_OUT)
    store = build_question_store(config, TOKENIZER, LIMITS, tmp_path)
    split = store.split("train")
    assert windows_of(split) == hand_windows()
    assert split.first_windows.tolist() == [0, 3, 5]
    assert [q.id for q in split.questions] == ["q0", "q1", "q3"]  # q2 teaches nothing
    assert split.questions[0] == Question(
        "q0", "where?", CONTEXT, (Answer("jkl", 9), Answer("x", 23))
    )
    held_out = store.split("validation")
    assert [q.answers for q in held_out.questions] == [
        (Answer("own words", None),),
        (Answer("s", 0),),
    ]
    assert held_out.labels.tolist() == [[0, 0], [3, 3]]
    card = store.card["splits"]
    assert (card["train"]["questions"], card["train"]["documents"]) == (3, 6)
    assert (card["train"]["left_out"], card["validation"]["left_out"]) == (1, 0)
    assert card["validation"]["shared_with_train"] == 2
    # Texts are counted once a question, tokens in each window: 6 + 26, 2 + 26, 2 + 5.
    assert (card["train"]["bytes"], card["train"]["words"]) == (67, 6)
    assert card["train"]["tokens"] == sum(len(tokens) for tokens, _, _ in hand_windows())
    assert split.unknown_share == 0
    lines = describe_questions(store.card)
    assert "windows of 24 tokens, one every 8, with questions of up to 4" in lines[0]
    assert "3 questions, left out 1 whose answer is not in the context" in lines[1]
    assert build_question_store(config, TOKENIZER, LIMITS, tmp_path).folder == store.folder
    other = WindowLimits(window_tokens=24, doc_stride=9, max_question_tokens=4)
    assert build_question_store(config, TOKENIZER, other, tmp_path).folder != store.folder


def many(count: int) -> dict:
    return squad(
        *(
            (
                f"context {i} " * (i % 4 + 1),
                [(f"{i}a", f"what {i}?", [str(i)]), (f"{i}b", "?", None)],
            )
            for i in range(count)
        )
    )


def test_a_context_is_in_one_split_with_all_its_questions(files, tmp_path):
    store = build_question_store(files(train=many(200)), TOKENIZER, LIMITS, tmp_path)
    parts = [list(store.split(name).questions) for name in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 400
    assert all(len(part) > 4 for part in parts)
    contexts = [{question.context for question in part} for part in parts]
    assert not (contexts[0] & contexts[1] or contexts[0] & contexts[2] or contexts[1] & contexts[2])


def test_many_processes_write_the_same(files, tmp_path, monkeypatch):
    config = files(train=many(60))
    alone = build_question_store(config, TOKENIZER, LIMITS, tmp_path / "1")
    monkeypatch.setattr(encode, "BATCH_CHARACTERS", 500)
    config.workers = 2
    together = build_question_store(config, TOKENIZER, LIMITS, tmp_path / "2")
    assert together.card == alone.card
    for file in sorted(path.name for path in alone.folder.iterdir()):
        assert (together.folder / file).read_bytes() == (alone.folder / file).read_bytes(), file


def test_a_file_and_questions_in_memory_are_as_the_store(files, tmp_path):
    config = files(train=TRAIN, validation=many(9), test=HELD_OUT)
    stored = build_question_store(config, TOKENIZER, LIMITS, tmp_path).split("validation")
    path = config.validation_corpus
    for split in (
        question_split(path, TOKENIZER, LIMITS),
        split_of_questions(read_questions(path), TOKENIZER, LIMITS),
    ):
        assert windows_of(split) == windows_of(stored)
        assert split.first_windows.tolist() == stored.first_windows.tolist()
        assert list(split.questions) == list(stored.questions)
        assert split.num_bytes == stored.num_bytes


def test_some_questions_as_a_split_of_their_own(files):
    split = question_split(files(train=TRAIN).corpus, TOKENIZER, LIMITS)
    windows = [*hand_windows()[:5], ([2, *ids("x"), 3, *ids("short"), 3], 3, [0, 0])]
    windows.append(hand_windows()[5])
    assert windows_of(split) == windows
    assert windows_of(split.windows(1, 3)) == windows[3:6]
    assert windows_of(split.windows(0, 4)) == windows
    assert split.windows(1, 3).num_documents == 3


def test_batches(files):
    split = question_split(files(train=many(30)).corpus, TOKENIZER, LIMITS)
    batches = TextBatches(split, (0, 3), 24, 4, seed=None)
    expected, seen = windows_of(split), []
    for step in range(batches.num_batches):
        batch, windows = batches.batch(step), batches.texts(step)
        assert (batch[features.WEIGHTS] > 0).sum() == len(windows)
        for row, window in enumerate(windows):
            tokens, place, labels = expected[window]
            padding = batch[features.TOKEN_IDS].shape[1] - len(tokens)
            segments = [0] * place + [1] * (len(tokens) - place) + [0] * padding
            assert batch[features.TOKEN_IDS][row].tolist() == tokens + [0] * padding
            assert batch[features.SEGMENT_IDS][row].tolist() == segments
            assert batch[features.LABELS][row].tolist() == labels
        seen += windows.tolist()
    assert sorted(seen) == list(range(len(expected)))
    same = [TextBatches(split, (0, 3), 24, 4, seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(same[0].texts(7), same[1].texts(7))
    assert any((same[0].texts(i) != same[2].texts(i)).any() for i in range(9))


def test_buckets_that_are_given(files):
    """Those of all questions, for some of them: a bucket may be empty."""
    split = question_split(files(train=TRAIN).corpus, TOKENIZER, LIMITS)
    batches = TextBatches(split.windows(2, 4), (0, 3), 24, 4, None, ends=[4, 12, 24])
    assert batches.num_batches == 1
    assert batches.batch(0)[features.TOKEN_IDS].shape == (4, 12)
    assert batches.texts(0).tolist() == [0, 1]


def test_what_a_tokenizer_is_trained_on(files):
    from tflm.data.corpora import resolve

    config = files(train=TRAIN)
    texts = question_texts(resolve(config, None)["train"].files[0], config)
    assert [(text.text, text.context) for text in texts] == [
        (CONTEXT, CONTEXT),
        ("where?", CONTEXT),
        ("no", CONTEXT),
        ("short", "short"),
        ("x", "short"),
        ("é", "short"),
    ]


def test_what_is_wrong(files, tmp_path):
    nothing = squad(("short", [("q", "x", ["own words"])]))
    with pytest.raises(
        UserError, match="few for the train split.* 1 whose answer is not in the context were"
    ):
        build_question_store(
            files(train=nothing, validation=TRAIN, test=TRAIN), TOKENIZER, LIMITS, tmp_path
        )
    with pytest.raises(UserError, match="holds no question. Give questions in the form of SQuAD"):
        question_split(files(train={"data": []}).corpus, TOKENIZER, LIMITS)
    with pytest.raises(UserError, match="there is no such file"):
        question_split(tmp_path / "none.json", TOKENIZER, LIMITS)
