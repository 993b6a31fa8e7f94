"""Counting pieces in bounded memory, against exact counts, and what a tokenizer says when it had to forget some."""

import collections
import re

import numpy as np
import pytest

from tflm.errors import UserError
from tflm.text import piece_counts
from tflm.text.piece_counts import PieceCounts
from tflm.text.tokenizer import TokenizerConfig, train


def zipf_batches(num_batches, size, seed=0):
    random = np.random.default_rng(seed)
    return [[f"w{n}" for n in random.zipf(1.3, size)] for _ in range(num_batches)]


def test_without_too_many_pieces_the_counts_are_exact():
    batches = zipf_batches(20, 500)
    found = PieceCounts()
    for batch in batches:
        found.add(collections.Counter(batch))
    assert found.counts == collections.Counter(piece for batch in batches for piece in batch)
    assert (found.dropped, found.too_low_by) == (0, 0)


def test_forgetting_by_hand():
    found = PieceCounts(max_pieces=4)
    found.add({"a": 5, "b": 2, "c": 1, "d": 1})
    found.add({"e": 1})  # Four pieces are not too many.
    assert len(found.counts) == 5 and found.dropped == 0
    found.add({"c": 1})  # Five are: c, d, e go, which leaves two.
    assert found.counts == {"a": 5, "b": 2, "c": 1}
    assert (found.dropped, found.too_low_by) == (3, 1)
    found.add({"d": 2, "e": 2})
    found.add(
        {"a": 1}
    )  # b, c, d, e go: with those of one, four would be left, and two are allowed.
    assert found.counts == {"a": 6}
    assert (found.dropped, found.too_low_by) == (7, 3)


def test_counts_are_low_by_what_is_said_and_the_frequent_are_in_order():
    batches = zipf_batches(200, 500)
    exact = collections.Counter(piece for batch in batches for piece in batch)
    found, most = PieceCounts(max_pieces=1000), 0
    for batch in batches:
        found.add(collections.Counter(batch))
        most = max(most, len(found.counts))
    assert len(exact) > 5000
    assert most <= 1000 + 500
    assert found.dropped > 4000 and 0 < found.too_low_by < 40
    for piece, count in exact.items():
        assert count - found.too_low_by <= found.counts.get(piece, 0) <= count
    frequent = [piece for piece, _ in exact.most_common(30)]
    assert sorted(found.counts, key=found.counts.get, reverse=True)[:30] == frequent
    assert [found.counts[piece] for piece in frequent] == [exact[piece] for piece in frequent]


@pytest.fixture
def room_for_ten(monkeypatch):
    monkeypatch.setattr(piece_counts, "MAX_PIECES", 10)
    monkeypatch.setattr("tflm.text.vocabulary.BATCH_CHARACTERS", 1)


TEXTS = [f"often common rare{i} common" for i in range(20)]
# Batches bring one new word each. After the ninth there are eleven: nine rare ones go, once more after the eighteenth.
LINE = (
    "The text has more than 10 different words; 18 of the rarest were dropped while counting. Counts may be too low by "
    "up to 2, and a word that occurs less than 5 times may be missing."
)


def test_forgetting_is_said(room_for_ten):
    lines = []
    tokenizer = train(TokenizerConfig(kind="word", min_count=3), TEXTS, say=lines.append)
    assert tokenizer.pieces == ["common", "often"]
    assert lines == [LINE]
    train(TokenizerConfig(kind="word"), TEXTS[:5], say=lines.append)
    assert lines == [LINE]


def test_a_caller_who_does_not_listen_is_warned(room_for_ten):
    with pytest.warns(UserWarning, match=re.escape(LINE)):
        train(TokenizerConfig(kind="word", min_count=3), TEXTS)


def test_impossible_settings_are_found_before_the_text_is_read():
    def unreadable():
        raise AssertionError
        yield ""

    for config, message in (
        (
            TokenizerConfig(kind="word", vocabulary_size=4),
            "`vocabulary_size` must be at least 5 for a word tokenizer. Received: 4.",
        ),
        (
            TokenizerConfig(kind="word", split="x"),
            "Unknown word split 'x'. Choose one of: jieba, whitespace, words.",
        ),
        (
            TokenizerConfig(sample_bytes=-1),
            "`sample_bytes` must be 0, for all the text, or more. Received: -1.",
        ),
    ):
        with pytest.raises(UserError) as error:
            train(config, unreadable())
        assert str(error.value) == message
