"""Ensembles: the mean of probabilities, whatever the models are."""

import types

import numpy as np
import pytest

from tests.generation.beam_reference import log_softmax
from tests.generation.test_beam import BOS, SOURCES, VOCABULARY, padded, search_sources
from tests.generation.tiny_sources import TinySources
from tflm.errors import UserError
from tflm.generation.beam import BeamConfig
from tflm.generation.ensemble import Ensemble

CONFIG = BeamConfig(beam_size=3, num_best=3, max_length=6)


def test_one_model_with_itself_is_the_model():
    model = TinySources(VOCABULARY, seed=1)
    alone = search_sources(model, CONFIG)
    twice = search_sources(Ensemble([model, model]), CONFIG)
    np.testing.assert_array_equal(twice[0], alone[0])
    np.testing.assert_array_equal(twice[1], alone[1])
    np.testing.assert_allclose(twice[2], alone[2], rtol=1e-4)


def test_probabilities_are_averaged_step_by_step():
    """Against the mean of what numpy holds each of three models' softmax to be."""
    models = [TinySources(VOCABULARY, seed=seed) for seed in (1, 2, 3)]
    ensemble = Ensemble(models)
    state = ensemble.initial_state(padded(SOURCES), 6)
    text = [BOS, 7, 5, 9]
    for position, token in enumerate(text):
        logits, state = ensemble.step(np.full((3, 1), token, "int32"), state, position)
        for row, source in enumerate(SOURCES):
            voices = [model.log_probs_of(source)([text[: position + 1]])[0] for model in models]
            expected = np.log(np.mean(np.exp(voices), axis=0))
            np.testing.assert_allclose(logits[row, 0], expected, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(log_softmax(logits[row, 0]), expected, rtol=1e-4, atol=1e-5)


def test_limits_are_those_of_the_shortest():
    models = [TinySources(VOCABULARY, max_sequence_length=n) for n in (9, 5)]
    models[0].max_source_length = None
    ensemble = Ensemble(models)
    assert ensemble.max_sequence_length == 5
    assert ensemble.max_source_length == 40


def test_models_that_do_not_fit():
    with pytest.raises(UserError, match="needs at least one model"):
        Ensemble([])
    other = types.SimpleNamespace(config=types.SimpleNamespace(vocabulary_size=5))
    with pytest.raises(UserError, match="one vocabulary. Received: vocabularies of 12, 5 tokens"):
        Ensemble([TinySources(VOCABULARY), other])
