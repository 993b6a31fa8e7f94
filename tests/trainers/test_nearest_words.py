import dataclasses

import numpy as np
import pytest

from trainers.evaluation.nearest_words import Word, choose_words, nearest_words, words_of


class Pieces:
    def __init__(self, *pieces):
        self.pieces = ["<pad>", "<unk>", "<s>", "</s>", *pieces]
        self.vocabulary_size = len(self.pieces)

    def piece(self, i):
        return self.pieces[i]


@dataclasses.dataclass
class Split:
    tokens: np.ndarray


def _split(*counts):
    """Token 4 + i occurs counts[i] times, the special ones a hundred times each."""
    ids = np.concatenate(
        [np.repeat(np.arange(4), 100), np.repeat(4 + np.arange(len(counts)), counts)]
    )
    return Split(ids.astype("uint16"))


def test_words_of_a_word_tokenizer():
    tokenizer = Pieces("ocean", "of", ",", "x86", "naïve", "海", "rare", "हिंदी")
    words = words_of(tokenizer, _split(10, 90, 90, 90, 20, 30, 4, 6))
    assert words == {
        "海": Word(9, 30),
        "naïve": Word(8, 20),
        "ocean": Word(4, 10),
        "हिंदी": Word(11, 6),
    }


def test_subwords_that_end_words_are_no_words():
    tokenizer = Pieces("▁ocean", "tion", "▁the", "the", "世界")
    words = words_of(tokenizer, _split(10, 90, 20, 80, 7))
    assert words == {"the": Word(6, 20), "ocean": Word(4, 10), "世界": Word(8, 7)}


def test_shared_clear_words_are_chosen_first():
    first = {w: Word(i, 50 - i) for i, w in enumerate(("the", "ocean", "letter", "captain"))}
    second = {w: Word(i, 50 - i) for i, w in enumerate(("the", "captain", "letter", "other"))}
    assert choose_words([{}, first, second], 3) == ["letter", "captain", "ocean"]
    assert choose_words([{}, first, second], 9) == ["letter", "captain", "ocean", "the"]
    assert choose_words([{}], 3) == []


def test_neighbours_by_cosine_not_by_length():
    # Angles of 0, 10, 40 and 180 degrees; lengths that a plain product would follow.
    angles, lengths = np.radians([0, 10, 40, 180]), np.array([1, 0.1, 100, 5])
    vectors = np.zeros((10, 2))
    vectors[[4, 6, 7, 9]] = (lengths * [np.cos(angles), np.sin(angles)]).T
    words = {"sea": Word(4, 9), "ocean": Word(6, 8), "road": Word(7, 7), "desert": Word(9, 6)}
    [(word, found)] = nearest_words(vectors, words, ["sea", "absent"], 2)
    assert word == "sea"
    assert found == [
        ("ocean", pytest.approx(np.cos(np.radians(10)))),
        ("road", pytest.approx(np.cos(np.radians(40)))),
    ]


def test_more_neighbours_than_there_are():
    words = {"sea": Word(4, 9), "ocean": Word(5, 8)}
    assert nearest_words(np.eye(6), words, ["sea"], 5) == [("sea", [("ocean", 0.0)])]
