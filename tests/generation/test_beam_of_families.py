"""Beam search by every encoder-decoder of the zoo, against the one in plain numpy, which keeps no cache."""

import dataclasses

import numpy as np
import pytest

from tests import zoo
from tests.generation.beam_reference import log_softmax
from tests.generation.test_beam import BOS, EOS, PLAIN, assert_equal_to_reference, reference
from tflm.generation.beam import beam_search

QUICK = ("transformer_shared", "lstm_luong")
FAMILIES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in zoo.SEQ2SEQ_ZOO
]


@pytest.mark.parametrize("family", FAMILIES)
def test_encoder_decoders_against_numpy(family):
    """Also there the reference reads source and target anew at every step."""
    model, source_ids = zoo.build(family, seed=4), zoo.source_ids()
    # A tied output favours the token that was just read.
    config = dataclasses.replace(PLAIN, max_length=5, no_repeat_ngram=1)
    state = model.initial_state(source_ids, config.max_length)
    prompts = np.full((len(source_ids), 1), BOS, "int32")
    found = beam_search(model.step, state, prompts, config, EOS, blocked=(0, BOS))
    different = set()
    for row, source in enumerate(source_ids):

        def log_probs_of(texts, source=source):
            texts = np.array(texts, "int32")
            return log_softmax(model(texts, np.tile(source, (len(texts), 1)))[:, -1])

        expected = reference(log_probs_of, [BOS], config, blocked=(0, BOS))
        assert_equal_to_reference(found, row, expected, config)
        different |= {tuple(target) for target, *_ in expected}
    assert len(different) > 6, "targets that say something about the source"
