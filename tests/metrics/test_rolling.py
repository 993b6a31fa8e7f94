"""The score of a text: every token exactly once, with the context it is promised, against a slow count in numpy."""

import dataclasses
import math

import numpy as np
import pytest

from tests import zoo
from tests.tiny_training import token_split
from tflm import models
from tflm.metrics.compression import LanguageModelScore
from tflm.metrics.rolling import RollingScorer
from trainers import objectives
from trainers.experiment import TrainConfig
from trainers.objectives.causal import CausalConfig

BOS = 2


def log_softmax(logits) -> np.ndarray:
    logits = np.asarray(logits, "float64")
    highest = logits.max(-1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(-1, keepdims=True))


def text(length: int) -> np.ndarray:
    """Random tokens with a BOS now and then."""
    tokens = np.random.default_rng(length).integers(3, 40, length)
    tokens[::7] = BOS
    return tokens.astype("uint16")


@pytest.fixture(scope="module")
def gpt():
    config = dataclasses.replace(
        zoo.ZOO["gpt_learned"], vocabulary_size=40, num_layers=1, max_sequence_length=8
    )
    model = models.build(config)
    zoo.spread(model)
    return model


@pytest.fixture(scope="module")
def lstm():
    config = dataclasses.replace(zoo.ZOO["lstm"], vocabulary_size=40, num_layers=1, hidden_dim=8)
    model = models.build(config)
    zoo.spread(model)
    return model


@pytest.fixture(scope="module")
def word2vec():
    model = models.build(dataclasses.replace(zoo.ZOO["word2vec"], vocabulary_size=40))
    zoo.spread(model)
    return model


def score_windows(model, tokens, length: int) -> tuple[float, int]:
    """The promise in the docstring of rolling.py, window by window and one window at a time."""
    total, count = 0.0, 0
    stride = max(length // 2, 1)
    first, counted_to = 0, 0  # window begins at token `first`; labels before `counted_to` are done
    while counted_to < len(tokens) - 1:
        window = tokens[first : first + length]
        labels = tokens[first + 1 : first + 1 + len(window)]
        log_p = log_softmax(model(window[None].astype("int32")))[0]
        for place, label in enumerate(labels):
            if first + place >= counted_to:
                counted_to = first + place + 1
                assert first == 0 or place >= length - stride, "too little context"
                if label != BOS:
                    total -= log_p[place, label]
                    count += 1
        first += stride
    return total, count


@pytest.mark.parametrize(("sequence_length", "batch_size"), [(8, 3), (5, 1), (1, 4)])
def test_windows_count_every_token_once(gpt, sequence_length, batch_size):
    scorer = RollingScorer(gpt, sequence_length, batch_size, BOS)
    for length in (2, 5, 8, 9, 10, 29):  # shorter than a window, and uneven tails
        tokens = text(length)
        nats, count = scorer.score(tokens)
        expected, expected_count = score_windows(gpt, tokens, sequence_length)
        assert count == expected_count == np.count_nonzero(tokens[1:] != BOS)
        assert nats == pytest.approx(expected, rel=1e-5), length


def score_lanes(model, tokens, lanes: int) -> tuple[float, int]:
    """Lane by lane, in one go through the model: each begins without a state."""
    num_labels = len(tokens) - 1
    lane_length = math.ceil(num_labels / lanes)
    total, count = 0.0, 0
    for start in range(0, num_labels, lane_length):
        end = min(start + lane_length, num_labels)
        log_p = log_softmax(model(tokens[None, start:end].astype("int32")))[0]
        for place, label in enumerate(tokens[start + 1 : end + 1]):
            if label != BOS:
                total -= log_p[place, label]
                count += 1
    return total, count


@pytest.mark.parametrize(("sequence_length", "batch_size"), [(7, 4), (64, 1)])
@pytest.mark.parametrize("family", ["lstm", "word2vec"])
def test_lanes_count_every_token_once(family, sequence_length, batch_size, request):
    model = request.getfixturevalue(family)
    scorer = RollingScorer(model, sequence_length, batch_size, BOS)
    # No lane is shorter than 16 chunks: a short text is read in one go, whatever the batch.
    for length in (2, 29, 64, 112, 230, 500):
        tokens = text(length)
        nats, count = scorer.score(tokens)
        lanes = max(1, min(batch_size, (length - 1) // (16 * sequence_length)))
        expected, expected_count = score_lanes(model, tokens, lanes)
        assert count == expected_count == np.count_nonzero(tokens[1:] != BOS)
        assert nats == pytest.approx(expected, rel=1e-5), length


def test_lanes_do_not_depend_on_the_length_of_a_chunk(lstm):
    scores = {
        length: RollingScorer(lstm, length, 2, BOS).score(text(50))[0] for length in (3, 7, 50)
    }
    assert max(scores.values()) == pytest.approx(min(scores.values()), rel=1e-5)


@pytest.mark.parametrize("length", [0, 1])
def test_a_text_without_anything_to_predict_scores_nothing(gpt, length):
    assert RollingScorer(gpt, 8, 2, BOS).score(text(length)) == (0.0, 0)


def test_progress_counts_to_its_end(gpt, lstm):
    for model in (gpt, lstm):
        done, totals = [], set()

        def progress(description, step, total, done=done, totals=totals):
            done.append(step)
            totals.add(total)

        RollingScorer(model, 8, 2, BOS).score(text(60), progress)
        assert done == list(range(1, totals.pop() + 1))
        assert not totals


def test_bits_per_byte_by_hand():
    # 8 tokens at a quarter each are 16 bits, for a text of 5 bytes in 2 words.
    score = LanguageModelScore(nats=8 * math.log(4), num_tokens=8, num_bytes=5, num_words=2)
    assert score.bits_per_byte == pytest.approx(16 / 5)
    assert score.perplexity_per_token == pytest.approx(4)
    assert score.perplexity_per_word == pytest.approx(4**4)
    values = score.to_dict()
    assert values["bits_per_byte"] == pytest.approx(16 / 5)
    assert values["num_tokens"] == 8


def test_a_model_that_knows_nothing_has_the_bits_of_its_vocabulary(gpt):
    """Uniform over 40 tokens: log2(40) bits for each of the predicted ones, whatever the windows are."""
    blank = models.build(gpt.config)
    for variable in blank.variables:
        variable.assign(np.zeros(variable.shape))
    tokens = text(100)
    split = token_split(tokens, num_bytes=130, num_documents=15)
    objective = objectives.build(CausalConfig())
    evaluate = objective.evaluator(
        blank, TrainConfig(sequence_length=8, batch_size=4), type("T", (), {"bos_id": BOS})
    )
    predicted = np.count_nonzero(tokens[1:] != BOS)
    result = evaluate(split)
    assert result["num_tokens"] == predicted
    assert result["bits_per_byte"] == pytest.approx(predicted * math.log2(40) / 130, rel=1e-6)
    # A part of the split has its share of the bytes.
    part = evaluate(split, max_tokens=50)
    predicted = np.count_nonzero(tokens[1:50] != BOS)
    assert part["bits_per_byte"] == pytest.approx(predicted * math.log2(40) / 65, rel=1e-6)


def test_an_empty_text_and_a_hopeless_model_do_not_fail():
    assert LanguageModelScore(0.0, 0, 0, 0).bits_per_byte == 0
    assert LanguageModelScore(1e6, 1, 1, 1).perplexity_per_token == math.inf
