"""Decoding: with a cache as without one, in a batch as alone, beyond the context, and its ends."""

import dataclasses

import numpy as np
import pytest

from tests import zoo
from tflm import models
from tflm.errors import UserError
from tflm.generation.decoding import PREFILL_CHUNKS, Decoder
from tflm.generation.sampling import SamplingConfig

VOCABULARY = 40
GREEDY = SamplingConfig(temperature=0.0)


@pytest.fixture(scope="module")
def built():
    """One member of each family, whose greedy continuations do not fall into a loop at once."""
    family = {}
    for name in ("word2vec", "lstm", "gpt_rotary"):
        config = dataclasses.replace(zoo.ZOO[name], vocabulary_size=VOCABULARY)
        if name == "gpt_rotary":
            # A tied output favours the token that was just read.
            config = dataclasses.replace(
                config, num_layers=1, max_sequence_length=24, tie_embeddings=False
            )
        family[name] = models.build(config)
        zoo.spread(family[name], seed=4)
    return family


@pytest.fixture(scope="module")
def decoders(built):
    """One decoder for each, so that it is compiled once."""
    return {name: Decoder(model, 24) for name, model in built.items()}


def prompt(length: int, seed: int = 0) -> list[int]:
    return [2, *np.random.default_rng(seed).integers(4, VOCABULARY, length - 1).tolist()]


def collect(decoder, prompts, max_tokens, sampling=GREEDY, stop_ids=()) -> list[list[int]]:
    rows = [[] for _ in prompts]
    for tokens in decoder.generate(prompts, max_tokens, sampling, stop_ids):
        for row, token in zip(rows, tokens, strict=True):
            row.extend([] if token is None else [token])
    return rows


def without_cache(model, text: list[int], count: int) -> list[int]:
    """The whole text through the model again for every token."""
    text = list(text)
    for _ in range(count):
        logits = np.array(model(np.array([text], "int32")))[0, -1]
        text.append(int(logits.argmax()))
    return text[-count:]


FAMILIES = ("word2vec", "lstm", "gpt_rotary")


@pytest.mark.parametrize("family", FAMILIES)
def test_with_a_cache_as_without(family, built, decoders):
    for length in (1, 2, 7):
        text = prompt(length, seed=length)
        expected = without_cache(built[family], text, 10)
        assert len(set(expected)) > 2, "a continuation that says something about the context"
        assert collect(decoders[family], [text], 10) == [expected]


@pytest.mark.parametrize("family", FAMILIES)
def test_in_a_batch_as_alone(family, decoders):
    """Prompts of different lengths, without padding: none sees its neighbours."""
    prompts = [prompt(3, seed=1), prompt(9, seed=2), prompt(1), prompt(6, seed=3)]
    together = collect(decoders[family], prompts, 8)
    assert together == [collect(decoders[family], [text], 8)[0] for text in prompts]
    assert all(len(row) == 8 for row in together)


def test_a_row_is_silent_in_its_prompt_and_after_its_end(decoders):
    prompts = [prompt(2), prompt(5)]
    steps = list(decoders["gpt_rotary"].generate(prompts, 3, GREEDY))
    spoken = [[token is not None for token in tokens] for tokens in steps]
    # The first row begins at once and has its three tokens; the second waits for its prompt's end.
    assert [row[0] for row in spoken] == [True] * 3 + [False] * 3
    assert [row[1] for row in spoken] == [False] * 3 + [True] * 3


def test_a_repetition_penalty_in_a_batch_as_alone(decoders):
    settings = SamplingConfig(temperature=0.0, repetition_penalty=1.5)
    prompts = [prompt(3, seed=1), prompt(9, seed=2)]
    decoder = decoders["gpt_rotary"]
    together = collect(decoder, prompts, 8, settings)
    assert together == [collect(decoder, [text], 8, settings)[0] for text in prompts]
    assert together != collect(decoder, prompts, 8)


@pytest.mark.parametrize("length", [20, 24, 25, 60])
def test_beyond_the_context_it_goes_on_from_the_newer_half(length, built, decoders):
    """The cache holds 24 tokens. When it is full the last 12 before the newest are read again."""
    text = prompt(length, seed=length)
    expected, model = list(text), built["gpt_rotary"]
    start = 0
    if length - 1 >= 24:
        start = length - 1 - 12
    for _ in range(30):
        if len(expected) - start > 24:
            start = len(expected) - 1 - 12
        logits = np.array(model(np.array([expected[start:]], "int32")))[0, -1]
        expected.append(int(logits.argmax()))
    assert collect(decoders["gpt_rotary"], [text], 30) == [expected[length:]]


def test_beyond_the_context_with_rows_that_have_ended(decoders):
    """Reading the rows again needs all of them at one length, those that have ended too."""
    decoder = decoders["gpt_rotary"]
    first = collect(decoder, [prompt(3)], 1)[0][0]
    rows = collect(decoder, [prompt(3), prompt(5, seed=9)], 60, stop_ids=(first,))
    assert rows[0] == []
    assert first not in rows[1]
    rows = collect(decoder, [prompt(3), prompt(50, seed=9)], 4)
    assert [len(row) for row in rows] == [4, 4]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_ends_before_a_stop_id(family, decoders):
    free = collect(decoders[family], [prompt(4)], 10)[0]
    stop = free[3]
    stopped = collect(decoders[family], [prompt(4)], 10, stop_ids=(stop, 1))[0]
    assert stopped == free[: free.index(stop)]


def test_an_unbounded_model_needs_no_room(built):
    decoder = Decoder(built["lstm"], 2)
    text = prompt(7)
    assert collect(decoder, [text], 10) == [without_cache(built["lstm"], text, 10)]


def test_the_length_of_the_cache_does_not_matter(built, decoders):
    short = Decoder(built["gpt_rotary"], 12)
    assert short.max_length == 12
    assert Decoder(built["gpt_rotary"], 1000).max_length == 24
    assert collect(short, [prompt(4)], 8) == collect(decoders["gpt_rotary"], [prompt(4)], 8)


def test_the_same_seed_gives_the_same_text(decoders):
    def drawn(seed):
        settings = SamplingConfig(temperature=1.5, seed=seed)
        return collect(decoders["word2vec"], [prompt(3)] * 2, 20, settings)

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(1)[0] != drawn(1)[1], "rows draw apart"


def test_prompts_of_any_length_are_read_in_few_kinds_of_chunks(built):
    """Each kind is a program to compile: 40 prompts must not need 40."""
    decoder = Decoder(built["word2vec"], 10_000)
    sizes, whole = set(), decoder._prefill
    decoder._prefill = lambda ids, *rest: sizes.add(ids.shape[1]) or whole(ids, *rest)
    for length in (2, 23, 86):
        collect(decoder, [prompt(length)], 1)
    assert sizes <= set(PREFILL_CHUNKS)


@pytest.mark.parametrize("prompts", [[], [[]], [[2], []]])
def test_a_prompt_must_hold_something(prompts, decoders):
    with pytest.raises(UserError, match="A prompt must have at least one token"):
        list(decoders["word2vec"].generate(prompts, 3, GREEDY))
