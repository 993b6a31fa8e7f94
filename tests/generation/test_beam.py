"""Beam search, against one in plain numpy that keeps no cache and stops early nowhere."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tests.generation.beam_reference import beam_of, log_softmax, penalty
from tests.generation.tiny_sources import TinySources
from tflm import models
from tflm.errors import UserError
from tflm.generation.beam import BeamConfig, beam_search, best, grow
from tflm.generation.decoding import Decoder
from tflm.generation.sampling import SamplingConfig

VOCABULARY, BOS, EOS = 12, 2, 3
SOURCES = [[4, 7, 5, 3], [9, 3], [6, 6, 8, 10, 11, 3]]
PROMPTS = [[2, 5, 7], [2, 9], [2, 4, 4, 8, 11]]
PLAIN = BeamConfig(beam_size=3, num_best=3, max_length=6)
CONFIGS = {
    "plain": PLAIN,
    "raw scores": dataclasses.replace(PLAIN, length_penalty=0.0),
    "long targets": dataclasses.replace(PLAIN, length_penalty=2.0),
    "one of four": dataclasses.replace(PLAIN, beam_size=4, num_best=1),
    "at least 3": dataclasses.replace(PLAIN, min_length=3),
    "nothing twice": dataclasses.replace(PLAIN, no_repeat_ngram=1, max_length=9),
    "no pair twice": dataclasses.replace(PLAIN, no_repeat_ngram=2, max_length=9),
    "to the end": dataclasses.replace(PLAIN, early_stop=False),
}


def assert_equal_to_reference(found, row: int, expected, config):
    ids, lengths, scores = (np.asarray(values)[row] for values in found)
    for place, (target, score, _) in enumerate(expected[: config.num_best]):
        assert ids[place, : lengths[place]].tolist() == target
        assert not ids[place, lengths[place] :].any(), "0 behind the end"
        np.testing.assert_allclose(scores[place], score, rtol=1e-4)


def reference(log_probs_of, prompt, config, **options):
    options = {"min_length": config.min_length, "ngram": config.no_repeat_ngram} | options
    size, alpha = config.beam_size, config.length_penalty
    return beam_of(log_probs_of, prompt, EOS, size, alpha, config.max_length, **options)


def padded(rows) -> np.ndarray:
    ids = np.zeros((len(rows), max(map(len, rows))), "int32")
    for row, values in zip(ids, rows, strict=True):
        row[: len(values)] = values
    return ids


def search_sources(model, config, sources=SOURCES, **options):
    state = model.initial_state(padded(sources), options.get("room", config.max_length))
    prompts = np.full((len(sources), 1), BOS, "int32")
    return beam_search(model.step, state, prompts, config, EOS, **options)


@pytest.mark.parametrize("name", CONFIGS)
def test_sources_against_numpy(name):
    model, config = TinySources(VOCABULARY, seed=1), CONFIGS[name]
    found = search_sources(model, config, blocked=(0, BOS))
    references = [
        reference(model.log_probs_of(source), [BOS], config, blocked=(0, BOS)) for source in SOURCES
    ]
    for row, expected in enumerate(references):
        assert_equal_to_reference(found, row, expected, config)
    if name == "plain":
        kinds = {has_ended for expected in references for *_, has_ended in expected}
        assert kinds == {True, False}, "some end and some are cut"


@pytest.fixture(scope="module")
def language_models():
    built = {}
    for name in ("lstm", "gpt_rotary"):
        config = dataclasses.replace(zoo.ZOO[name], vocabulary_size=VOCABULARY, num_layers=1)
        built[name] = models.build(config)
        zoo.spread(built[name], seed=4)
    return built


def read(model, prompts, max_length: int):
    """The state of a batch before the last token of its shortest prompt, and that token's position."""
    start = min(map(len, prompts)) - 1
    state = model.initial_state(len(prompts), max(map(len, prompts)) + max_length)
    _, state = model.step(padded(prompts)[:, :start], state, 0)
    return state, start


def search_prompts(model, config, prompts=PROMPTS, **options):
    state, start = read(model, prompts, config.max_length)
    lengths = np.array([len(prompt) for prompt in prompts], "int32")
    options = {"prompt_lengths": lengths, "position": start, **options}
    return beam_search(model.step, state, padded(prompts), config, EOS, **options)


@pytest.mark.parametrize("name", ["plain", "no pair twice"])
@pytest.mark.parametrize("family", ["lstm", "gpt_rotary"])
def test_prompts_of_different_lengths_against_numpy(family, name, language_models):
    """The reference has the whole text through the model at every step: as with a cache."""
    model, config = language_models[family], CONFIGS[name]
    found = search_prompts(model, config)
    for row, prompt in enumerate(PROMPTS):
        expected = reference(
            lambda texts: log_softmax(model(np.array(texts, "int32"))[:, -1]), prompt, config
        )
        assert_equal_to_reference(found, row, expected, config)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 3.0])
def test_a_beam_that_holds_everything_finds_the_best_there_is(alpha):
    """All targets of a vocabulary of 5 with at most 2 tokens before EOS, by enumeration."""
    model = TinySources(5, seed=2)
    config = BeamConfig(beam_size=90, num_best=4, length_penalty=alpha, max_length=3)
    source = [4, 1, 3]
    ids, lengths, scores = search_sources(model, config, [source])
    log_probs_of, targets = model.log_probs_of(source), {}
    tokens = [token for token in range(5) if token != EOS]
    for length in range(3):
        for target in itertools.product(tokens, repeat=length):
            text, total = [BOS], 0.0
            for token in (*target, EOS):
                total += log_probs_of([text])[0][token]
                text.append(token)
            targets[target] = total / penalty(length + 1, alpha)
    best_targets = sorted(targets, key=lambda target: -targets[target])[:4]
    for place, target in enumerate(best_targets):
        assert tuple(np.asarray(ids)[0, place, : int(lengths[0, place])]) == target
        np.testing.assert_allclose(scores[0, place], targets[target], rtol=1e-4)


def test_a_beam_of_one_is_greedy(language_models):
    config = BeamConfig(beam_size=1, max_length=12)
    model, ends = language_models["gpt_rotary"], 0
    ids, lengths, _ = search_prompts(model, config)
    rows = [[] for _ in PROMPTS]
    sampling = SamplingConfig(temperature=0.0)
    for tokens in Decoder(model, 24).generate(PROMPTS, 12, sampling, (EOS,)):
        for row, token in zip(rows, tokens, strict=True):
            row.extend([] if token is None else [token])
    for place, row in enumerate(rows):
        assert np.asarray(ids)[place, 0, : int(lengths[place, 0])].tolist() == row
        ends += len(row) < 12
    model, sources = TinySources(VOCABULARY, seed=3), SOURCES
    ids, lengths, _ = search_sources(model, config)
    for place, source in enumerate(sources):
        text, log_probs_of = [BOS], model.log_probs_of(source)
        while len(text) < 13 and text[-1] != EOS:
            text.append(int(log_probs_of([text])[0].argmax()))
        ends += text[-1] == EOS
        expected = [token for token in text[1:] if token != EOS]
        assert np.asarray(ids)[place, 0, : int(lengths[place, 0])].tolist() == expected
    assert ends > 0, "one that ends is among them"


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_an_early_stop_saves_steps_and_changes_nothing(alpha):
    saved = 0
    for seed in range(2):
        model = TinySources(VOCABULARY, seed=seed, ends=3.0)
        steps, found = {}, {}
        for early in (True, False):
            steps[early] = 0

            def step(*arguments, model=model, early=early, steps=steps):
                steps[early] += 1
                return model.step(*arguments)

            config = BeamConfig(max_length=12, length_penalty=alpha, early_stop=early)
            state = model.initial_state(padded(SOURCES), 12)
            prompts = np.full((3, 1), BOS, "int32")
            found[early] = beam_search(step, state, prompts, config, EOS)
        for one, other in zip(found[True], found[False], strict=True):
            np.testing.assert_array_equal(one, other)
        assert steps[True] <= steps[False]
        saved += steps[False] - steps[True]
    assert saved > 0


def test_a_row_is_skipped_and_neighbours_change_nothing():
    model = TinySources(VOCABULARY, seed=1)
    limits = np.array([6, 0, 3], "int32")
    ids, lengths, scores = search_sources(model, PLAIN, limits=limits)
    assert not np.asarray(lengths)[1].any()
    assert (np.asarray(scores)[1] < -1e29).all(), "nothing was found there"
    for row, limit in ((0, 6), (2, 3)):
        config = dataclasses.replace(PLAIN, max_length=limit)
        expected = reference(model.log_probs_of(SOURCES[row]), [BOS], config)
        assert_equal_to_reference((ids, lengths, scores), row, expected, config)


def test_with_little_room_it_says_which_rows_are_certain():
    """A row that is complete has the very hypotheses that it has with all the room."""
    config = dataclasses.replace(PLAIN, max_length=20, num_best=1)
    seen = set()
    for seed in range(4):
        model = TinySources(VOCABULARY, seed=seed)
        whole = search_sources(model, config)
        state = model.initial_state(padded(SOURCES), 4)
        prompts = np.full((3, 1), BOS, "int32")
        found = grow(model.step, state, prompts, config, EOS, room=4)
        few = best(found, config)
        for row, complete in enumerate(np.asarray(found["complete"])):
            seen.add(bool(complete))
            if complete:
                assert np.asarray(few[1])[row] == np.asarray(whole[1])[row]
                np.testing.assert_array_equal(few[0][row], np.asarray(whole[0])[row, :, :4])
                np.testing.assert_array_equal(few[2][row], whole[2][row])
    assert seen == {True, False}


def test_in_a_graph_of_unknown_sizes_and_compiled():
    """As a SavedModel has it, and as `Translator` compiles it."""
    model = TinySources(VOCABULARY, seed=1)

    def search(source_ids):
        state = model.initial_state(source_ids, PLAIN.max_length)
        prompts = tf.fill((tf.shape(source_ids)[0], 1), BOS)
        return beam_search(model.step, state, prompts, PLAIN, EOS, blocked=(0, BOS))

    source_ids = padded(SOURCES)
    expected = search_sources(model, PLAIN, blocked=(0, BOS))
    unknown = tf.function(search, input_signature=[tf.TensorSpec((None, None), tf.int32)])
    for function in (unknown, tf.function(search, jit_compile=True, autograph=False)):
        ids, lengths, scores = function(source_ids)
        np.testing.assert_array_equal(ids, expected[0])
        np.testing.assert_array_equal(lengths, expected[1])
        np.testing.assert_allclose(scores, expected[2], rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"beam_size": 0}, "`beam_size` must be"),
        ({"length_penalty": -1.0}, "`length_penalty` must be"),
        ({"num_best": 5}, "`num_best` must be at most `beam_size`.*num_best=5, beam_size=4"),
        ({"min_length": 128}, "`min_length` must be below `max_length`.*min_length=128"),
    ],
)
def test_impossible_settings(values, message):
    with pytest.raises(UserError, match=message):
        BeamConfig(**values)
