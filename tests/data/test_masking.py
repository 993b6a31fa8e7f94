"""Which tokens are hidden, held against counts and against the text itself."""

import dataclasses

import numpy as np
import pytest

from tests.tiny_training import token_split
from tflm.data import features
from tflm.data.masked_windows import MaskedWindows
from tflm.data.masking import Masker, Masking
from tflm.errors import UserError

MASK = 4
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES += [f"word{i}" for i in range(40)] + [f"##end{i}" for i in range(40)]
FIRST_END = PIECES.index("##end0")


class WordPieces:
    """What a masker asks of a tokenizer."""

    kind = "wordpiece"
    pad_id, unk_id, bos_id, eos_id, mask_id = 0, 1, 2, 3, MASK

    def __init__(self, pieces=PIECES):
        self.pieces = pieces
        self.vocabulary_size = len(pieces)

    def piece(self, token_id):
        return self.pieces[token_id]


def rows_of_words(count: int, length: int, seed=0) -> np.ndarray:
    """Rows `[CLS] word [##end] word ... [SEP]`."""
    random = np.random.default_rng(seed)
    rows = np.zeros((count, length), "int32")
    for row in rows:
        tokens = []
        while len(tokens) < length:
            tokens.append(random.integers(5, FIRST_END))
            for _ in range(random.integers(0, 3)):
                tokens.append(random.integers(FIRST_END, len(PIECES)))
        row[:] = [2, *tokens[: length - 2], 3]
    return rows


def masked(masking: Masking, rows, tokenizer=None, seed=0):
    return Masker(masking, tokenizer or WordPieces()).mask(rows, np.random.default_rng(seed))


def test_what_is_predicted_stood_there_and_nothing_else_changes():
    rows = rows_of_words(50, 40)
    changed, positions, labels, found = masked(Masking(), rows)
    is_chosen = np.zeros(rows.shape, bool)
    for row in range(len(rows)):
        chosen = positions[row, found[row]]
        assert len(set(chosen)) == len(chosen) > 0
        np.testing.assert_array_equal(labels[row, found[row]], rows[row, chosen])
        is_chosen[row, chosen] = True
    np.testing.assert_array_equal(changed[~is_chosen], rows[~is_chosen])
    assert not is_chosen[rows < 5].any(), "a special token is never hidden"


def test_the_shares_are_those_of_the_paper():
    rows = rows_of_words(2000, 42)
    changed, positions, _, found = masked(Masking(words="none"), rows)
    assert found.sum() == len(rows) * 6  # 15 % of 40 words
    row, place = np.nonzero(found)
    before = rows[row, positions[row, place]]
    after = changed[row, positions[row, place]]
    number = len(before)
    # Three standard deviations of a share of so many draws.
    assert abs((after == MASK).mean() - 0.8) < 3 * (0.8 * 0.2 / number) ** 0.5
    others = (after != MASK) & (after != before)
    expected = 0.1 * 79 / 80  # one in 80 random tokens is the one that stood there
    assert abs(others.mean() - expected) < 3 * (0.1 * 0.9 / number) ** 0.5
    assert (after[others] >= 5).all()
    chosen = np.bincount(positions[found], minlength=42)
    assert chosen[0] == chosen[41] == 0
    assert np.abs(chosen[1:41] / len(rows) - 0.15).max() < 0.03, "every place is as likely"


def test_words_are_hidden_whole():
    rows = rows_of_words(100, 40)
    _, positions, _, found = masked(Masking(), rows)
    for row, places, is_found in zip(rows, positions, found, strict=True):
        chosen = set(places[is_found].tolist())
        assert 0 < len(chosen) <= 6
        for place in range(2, 39):
            if row[place] >= FIRST_END:  # it goes on from the piece before it
                assert (place in chosen) == (place - 1 in chosen)


def test_chinese_words_are_hidden_whole():
    text = "今天天气很好我们去公园"  # jieba: 今天天气 很 好 我们 去 公园
    pieces = PIECES[:5] + sorted(set(text))
    row = np.array([[2, *(pieces.index(c) for c in text), 3]], "int32")
    together = {1: {1, 2, 3, 4}, 7: {7, 8}, 10: {10, 11}}  # places of words of several characters
    seen = set()
    for seed in range(60):
        masking = Masking(share=0.4, words="jieba")
        _, positions, _, found = masked(masking, row, WordPieces(pieces), seed)
        chosen = set(positions[found].tolist())
        for first, word in together.items():
            assert not chosen & word or word <= chosen
            seen |= {first} if word <= chosen else set()
    assert seen == set(together)


def test_a_tokenizer_without_mask_is_refused():
    tokenizer = WordPieces()
    tokenizer.mask_id, tokenizer.kind = None, "byte"
    with pytest.raises(UserError, match=r"tokenizer\.kind=wordpiece. Received: byte"):
        Masker(Masking(), tokenizer)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"share": 1.5}, r"`objective\.share` must be from 0 to below 1"),
        ({"masked": 0.9, "random": 0.2}, "are shares of one whole"),
        ({"words": "all"}, r"objective\.words"),
    ],
)
def test_shares_that_cannot_be(fields, message):
    with pytest.raises(UserError, match=message):
        Masking(**fields)


def windows(seed=0, length=12, rows=4, **options):
    tokens = np.arange(300) % 60 + 10
    masker = Masker(dataclasses.replace(Masking(), words="none"), WordPieces())
    return tokens, MaskedWindows(token_split(tokens), masker, (2, 3), length, rows, seed, **options)


def unmasked(batch: dict) -> np.ndarray:
    rows = batch[features.TOKEN_IDS].copy()
    found = batch[features.WEIGHTS] > 0
    row, place = np.nonzero(found)
    rows[row, batch[features.MASKED_POSITIONS][row, place]] = batch[features.LABELS][row, place]
    return rows


def test_an_epoch_shows_every_token_once():
    tokens, source = windows()
    seen = []
    for step in range(30 // 4):
        rows = unmasked(source.batch(step))
        assert (rows[:, 0] == 2).all() and (rows[:, -1] == 3).all()
        seen += rows[:, 1:-1].tolist()
    windows_seen = {tuple(row) for row in seen}
    assert len(seen) == 28 and source.num_windows == 30
    stream = tokens.tolist() * 2
    starts = {tuple(stream[i : i + 10]) for i in range(300)}
    assert windows_seen <= starts
    counts = np.bincount(np.concatenate(seen), minlength=70)[10:]
    assert counts.max() <= 5, "60 tokens come five times in 300"


def test_a_batch_depends_on_its_step_and_the_seed_alone():
    first, again, other = (windows(seed)[1] for seed in (0, 0, 1))
    for name, value in first.batch(7).items():
        np.testing.assert_array_equal(value, again.batch(7)[name])
    assert (first.batch(7)[features.TOKEN_IDS] != other.batch(7)[features.TOKEN_IDS]).any()
    assert first.batch(7)[features.WEIGHTS].sum() == pytest.approx(1)


def test_one_pass_in_order():
    tokens, source = windows(seed=None)
    assert source.num_batches == 7
    rows = np.concatenate([unmasked(source.batch(step)) for step in range(7)])[:, 1:-1]
    np.testing.assert_array_equal(rows.reshape(-1), tokens[:280])


def test_pairs_go_on_or_do_not():
    tokens, source = windows(length=15, rows=50, next_sentence=True)
    batch = source.batch(0)
    rows, is_next = unmasked(batch), batch[features.IS_ELSEWHERE] == 0
    assert 10 < is_next.sum() < 40
    # [CLS] 6 [SEP] 6 [SEP]
    assert (rows[:, [0, 7, 14]] == [2, 3, 3]).all()
    np.testing.assert_array_equal(batch[features.SEGMENT_IDS][0], [0] * 8 + [1] * 7)
    follows = (rows[:, 8] - 10) % 60 == (rows[:, 6] - 10 + 1) % 60
    assert follows[is_next].all() and follows[~is_next].sum() <= 4
    assert batch[features.ROW_WEIGHTS].sum() == pytest.approx(1)
