"""Batches of pairs: what is in them, every pair once an epoch, a function of the step alone."""

import numpy as np
import pytest

from tests.data.fake_tokenizer import ByteTokenizer
from tflm.data import length_buckets
from tflm.data.encode import encode_documents
from tflm.data.parallel_batches import ParallelBatches, rows_of
from tflm.data.parallel_split import parallel_in_memory
from tflm.data.prompted_batches import Prompt, PromptedBatches
from tflm.errors import UserError

TOKENIZER = ByteTokenizer()


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch):
    monkeypatch.setattr(length_buckets, "SMALLEST_PAIRS", 1)


def split_of(pairs):
    sources, targets = zip(*pairs, strict=True)
    sources = encode_documents(TOKENIZER, sources).without_first()
    return parallel_in_memory([sources], [encode_documents(TOKENIZER, targets)], TOKENIZER)


def many(count: int) -> list[tuple[str, str]]:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 40, (count, 2))
    return [(f"{i:03}" + "s" * a, f"{i:03}" + "t" * b) for i, (a, b) in enumerate(lengths)]


def ids(text: str) -> list[int]:
    return [byte + 4 for byte in text.encode()]


def parallel(split, batch_size, seed, accumulation=1):
    return ParallelBatches(split, 20, batch_size, seed, accumulation)


def prompted(split, batch_size, seed, accumulation=1):
    prompt = Prompt("<{source}> ", TOKENIZER)
    return PromptedBatches(split, prompt, 20, batch_size, seed, accumulation)


def pairs_of(batch) -> list[tuple[str, str]]:
    """The pairs of a batch of either kind, those without a weight left out."""
    found = []
    for row in range(len(batch["labels"])):
        counted = batch["weights"][row] > 0
        if not counted.any():
            continue
        labels = batch["labels"][row][counted]
        assert labels[-1] == 3 and 3 not in labels[:-1]
        if "source_ids" in batch:
            source = batch["source_ids"][row]
            assert source[source > 0][-1] == 3
            read = TOKENIZER.decode(source)
            assert batch["token_ids"][row, 0] == 2
            assert counted[0]
        else:
            prompt = batch["token_ids"][row][: np.flatnonzero(counted)[0] + 1]
            assert prompt[0] == 2 and 3 not in prompt
            read = TOKENIZER.decode(prompt).removeprefix("<").removesuffix("> ")
        found.append((read, TOKENIZER.decode(labels)))
    return found


def test_a_batch_of_an_encoder_decoder_by_hand():
    split = split_of([("abc", "xy"), ("a", "xyz")])
    batch = ParallelBatches(split, 8, 1, seed=None).batch(0)  # 8 // 4 rows
    assert batch["source_ids"].tolist() == [[*ids("abc"), 3], [*ids("a"), 3, 0, 0]]
    assert batch["token_ids"].tolist() == [[2, *ids("xy"), 0], [2, *ids("xyz")]]
    assert batch["labels"].tolist() == [[*ids("xy"), 3, 0], [*ids("xyz"), 3]]
    np.testing.assert_allclose(batch["weights"], np.array([[1, 1, 1, 0], [1, 1, 1, 1]]) / 7)
    assert {name: array.dtype.name for name, array in batch.items()} == {
        "source_ids": "int32",
        "token_ids": "int32",
        "labels": "int32",
        "weights": "float32",
    }


def test_a_batch_of_a_decoder_alone_by_hand():
    split = split_of([("abc", "xy"), ("a", "xyz")])
    batches = PromptedBatches(split, Prompt("<{source}>", TOKENIZER), 16, 1, seed=None)
    batch = batches.batch(0)  # <s> < a b c > x y: 8 tokens to read
    before, behind = ids("<"), ids(">")
    assert batch["token_ids"].tolist() == [
        [2, *before, *ids("abc"), *behind, *ids("xy")],
        [2, *before, *ids("a"), *behind, *ids("xyz"), 3],
    ]
    assert batch["labels"].tolist() == [
        [*before, *ids("abc"), *behind, *ids("xy"), 3],
        [*before, *ids("a"), *behind, *ids("xyz"), 3, 0],
    ]
    expected = np.array([[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 0]]) / 7
    np.testing.assert_allclose(batch["weights"], expected)
    assert batches.shapes == [(2, 8)]
    assert batches.padding_share == pytest.approx(1 / 16)
    # One step has all 15 tokens of both.
    assert (batches.steps_per_epoch, batches.tokens_per_step) == (1.0, 15)
    prompt = Prompt("{source}", TOKENIZER)
    assert prompt.ids(ids("ab")).tolist() == [2, *ids("ab")]
    assert PromptedBatches(split, prompt, 16, 1, seed=None).batch(0)["token_ids"].shape == (2, 6)


def test_padding_and_tokens_of_an_encoder_decoder():
    batches = ParallelBatches(split_of([("abc", "xy"), ("a", "xyz")] * 50), 8, 2, seed=0)
    assert batches.shapes == [(4, 4, 4)]
    # 4 + 3 and 2 + 4 tokens of 8 cells each.
    assert batches.padding_share == pytest.approx(3 / 16)
    assert (batches.steps_per_epoch, batches.tokens_per_step) == (25.0, 26)


@pytest.mark.parametrize("kind", [parallel, prompted])
@pytest.mark.parametrize(
    ("count", "batch_size", "accumulation"), [(150, 8, 1), (150, 9, 4), (5, 16, 2)]
)
def test_every_pair_once_an_epoch(kind, count, batch_size, accumulation):
    pairs = many(count)
    batches = kind(split_of(pairs), batch_size, 3, accumulation)
    epochs = 4
    found, shapes = [], set()
    for step in range(int(epochs * batches.steps_per_epoch) + len(batches.shapes)):
        batch = batches.batch(step)
        assert batch["weights"].sum() == pytest.approx(1, abs=1e-5)
        shape = batch["labels"].shape
        assert shape in [(bucket[0], bucket[-1]) for bucket in batches.shapes]
        shapes.add(tuple(array.shape for array in batch.values()))
        assert shape[0] % accumulation == 0
        assert len(pairs_of(batch)) == shape[0]
        found += pairs_of(batch)
    counts = {pair: found.count(pair) for pair in pairs}
    assert len(found) == sum(counts.values())
    # So many steps are four whole epochs, and some batches of the fifth.
    assert min(counts.values()) >= epochs
    if count == 150:
        assert max(counts.values()) <= epochs + 3
        assert sum(counts.values()) / count == pytest.approx(epochs, rel=0.2)
    assert len(shapes) == len(batches.shapes)


@pytest.mark.parametrize("kind", [parallel, prompted])
def test_in_order_each_pair_once(kind):
    pairs = many(61)
    batches = kind(split_of(pairs), 7, None)
    found = []
    for step in range(batches.num_batches):
        batch = batches.batch(step)
        assert batch["weights"].sum() == pytest.approx(1, abs=1e-5)
        if "source_ids" in batch:  # also in rows that only fill, so that no softmax is over nothing
            assert (batch["source_ids"] != 0).any(axis=1).all()
        found += pairs_of(batch)
    assert sorted(found) == sorted(pairs)


@pytest.mark.parametrize("kind", [parallel, prompted])
def test_a_batch_is_a_function_of_the_step(kind):
    split = split_of(many(100))
    forward = [kind(split, 8, 11).batch(step) for step in range(50)]
    batches = kind(split_of(many(100)), 8, 11)
    for step in reversed(range(50)):
        for name, value in batches.batch(step).items():
            np.testing.assert_array_equal(value, forward[step][name])
    others = [kind(split, 8, 12).batch(step) for step in range(50)]
    assert any(a["labels"].shape != b["labels"].shape for a, b in zip(forward, others, strict=True))
    assert batches.batch(10**10)["labels"].shape[0] > 0


def test_padding_share_is_that_of_the_batches():
    batches = parallel(split_of(many(150)), 8, 0)
    cells = tokens = 0
    steps = 400
    for step in range(steps):
        batch = batches.batch(step)
        for name in ("source_ids", "labels"):
            cells += batch[name].size
            tokens += np.count_nonzero(batch[name])
    assert batches.padding_share == pytest.approx(1 - tokens / cells, abs=0.01)
    assert batches.tokens_per_step == pytest.approx(tokens / steps, rel=0.02)
    # The longest has 3 + 39 bytes and eos on both sides.
    one_shape = 1 - np.mean([len(s) + len(t) + 2 for s, t in many(150)]) / (2 * 43)
    assert batches.padding_share < one_shape - 0.1


def test_rows():
    assert rows_of(10, sequence_length=64, batch_size=32, accumulation=1) == 204
    assert rows_of(10, sequence_length=64, batch_size=32, accumulation=8) == 200
    assert rows_of(64, sequence_length=64, batch_size=32, accumulation=4) == 32
    assert rows_of(1000, sequence_length=64, batch_size=4, accumulation=4) == 4


def test_what_is_wrong():
    split = split_of([("abc", "xy"), ("a", "xyz")])
    prompt = Prompt("<{source}>", TOKENIZER)
    PromptedBatches(split, prompt, 16, 1, seed=0, max_length=8)
    message = (
        "its target have up to 8 tokens, but the model reads 7. Raise model.max_sequence_length"
    )
    with pytest.raises(UserError, match=message):
        PromptedBatches(split, prompt, 16, 1, seed=0, max_length=7)
    for wrong in ("Translate:", "{source}{source}"):
        with pytest.raises(UserError, match="must have {source} in it once. Received: '"):
            Prompt(wrong, TOKENIZER)
