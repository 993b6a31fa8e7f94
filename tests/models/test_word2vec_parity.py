"""Word2Vec against loops in numpy: the causal bag of words, and skip-gram with its gradient in float64."""

import numpy as np
import pytest

from tests import zoo
from tests.tiny_training import learnable_tokens, tiny_training, token_split, train_step
from tflm import models
from tflm.models.word2vec import Word2VecConfig
from tflm.run import named_arrays
from trainers.objectives.skip_gram import SkipGramConfig, SkipGramPairs


def tables(model) -> list[np.ndarray]:
    names = ("token_embedding/embeddings", "output_embedding", "output_bias")
    arrays = named_arrays(model.variables)
    return [arrays[f"word2vec/{name}"].astype("float64") for name in names]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_bag_of_words_equals_a_loop(window):
    model = models.build(Word2VecConfig(vocabulary_size=9, hidden_dim=4, window=window))
    zoo.spread(model)
    token_ids = np.random.default_rng(0).integers(0, 9, (2, 8)).astype("int32")
    vectors, outputs, bias = tables(model)
    logits = np.array(model(token_ids))
    for row in range(2):
        for t in range(8):
            recent = token_ids[row, max(0, t - window + 1) : t + 1]
            average = sum(vectors[token] for token in recent) / len(recent)
            expected = [average @ outputs[word] + bias[word] for word in range(9)]
            np.testing.assert_allclose(logits[row, t], expected, atol=1e-5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_step_of_skip_gram_equals_numpy():
    """Mikolov et al. 2013b, equation 4, and its gradient by hand: one step of gradient descent."""
    training, source = tiny_training(
        "word2vec",
        objective=SkipGramConfig(negatives=3, subsample=0.0),
        optimizer="sgd",
        learning_rate=2.0,
        weight_decay=0.0,
        clip_norm=0.0,
        batch_size=16,
    )
    zoo.spread(training.model)
    inputs, outputs, bias = tables(training.model)
    batch = source.batch(0)
    new_inputs, new_outputs, loss = inputs.copy(), outputs.copy(), 0.0
    for center, words, weight in zip(
        batch["token_ids"], batch["labels"], batch["weights"].astype("float64"), strict=True
    ):
        for place, word in enumerate(words):
            score = inputs[center] @ outputs[word]
            sign = 1.0 if place == 0 else -1.0  # the context comes first, then the negatives
            loss -= weight * np.log(sigmoid(sign * score))
            slope = -weight * sign * (1 - sigmoid(sign * score))
            new_inputs[center] -= 2.0 * slope * outputs[word]
            new_outputs[word] -= 2.0 * slope * inputs[center]
    assert train_step(training, batch)["loss"] == pytest.approx(loss, rel=1e-5)
    after_inputs, after_outputs, after_bias = tables(training.model)
    assert np.abs(new_inputs - inputs).max() > 0.01
    np.testing.assert_allclose(after_inputs, new_inputs, atol=1e-6)
    np.testing.assert_allclose(after_outputs, new_outputs, atol=1e-6)
    np.testing.assert_array_equal(after_bias, bias)  # skip-gram has none


class Pairs:
    """Pairs over a text of two documents."""

    tokens = np.concatenate([[2], learnable_tokens(400), [3, 2], learnable_tokens(400, 1), [3]])
    window = 3

    @classmethod
    def source(cls, batch_size=64, seed=0, **config):
        model = Word2VecConfig(vocabulary_size=60, window=cls.window)
        return SkipGramPairs(
            token_split(cls.tokens), SkipGramConfig(**config), model, batch_size, seed
        )


def test_pairs_are_words_near_each_other_in_one_document():
    source = Pairs.source(batch_size=len(Pairs.tokens), subsample=0.0)
    near = set()
    for place, token in enumerate(Pairs.tokens):
        for other in range(max(0, place - 3), min(len(Pairs.tokens), place + 4)):
            between = Pairs.tokens[min(place, other) : max(place, other) + 1]
            if other != place and (between > 3).all():
                near.add((token, Pairs.tokens[other]))
    batch = source.batch(0)
    used = batch["weights"] > 0
    pairs = set(zip(batch["token_ids"][used], batch["labels"][used, 0], strict=True))
    assert pairs <= near
    assert used.mean() > 0.9
    assert batch["weights"].sum() == pytest.approx(1, rel=1e-5)
    # An epoch visits every place of the text once.
    np.testing.assert_array_equal(np.sort(batch["token_ids"]), np.sort(Pairs.tokens))


def test_close_words_are_drawn_more_often():
    """A width uniform in 1..3, then a place within it: 11/18, 5/18 and 2/18 for distances 1, 2, 3."""
    tokens = np.concatenate([[2], np.arange(4, 1004), [3]])
    model = Word2VecConfig(vocabulary_size=1004, window=3)
    source = SkipGramPairs(token_split(tokens), SkipGramConfig(subsample=0.0), model, 1002, seed=1)
    distances = []
    for step in range(20):
        batch = source.batch(step)
        used = batch["weights"] > 0
        gaps = np.abs(batch["labels"][used, 0] - batch["token_ids"][used])
        distances.extend(gaps)
    share = np.bincount(distances, minlength=4)[1:] / len(distances)
    np.testing.assert_allclose(share, np.array([11, 5, 2]) / 18, atol=0.01)


def test_negatives_follow_the_counts_to_the_power():
    source = Pairs.source(batch_size=800, negatives=20, power=0.75)
    counts = np.bincount(Pairs.tokens, minlength=60).astype("float64")
    counts[:4] = 0
    expected = counts**0.75 / (counts**0.75).sum()
    drawn = np.bincount(
        np.concatenate([source.batch(step)["labels"][:, 1:].ravel() for step in range(10)]),
        minlength=60,
    )
    assert drawn[:4].sum() == 0
    np.testing.assert_allclose(drawn / drawn.sum(), expected, atol=0.003)


def test_frequent_words_are_skipped():
    def share_of_token(subsample):
        source = Pairs.source(batch_size=800, subsample=subsample)
        return np.mean([(source.batch(step)["weights"] > 0).mean() for step in range(4)])

    share = np.bincount(Pairs.tokens, minlength=60)[4:] / (Pairs.tokens > 3).sum()
    share = share[share > 0]
    keep = np.minimum(1, np.sqrt(0.005 / share) + 0.005 / share)
    # Both words of a pair must be kept; here which word stands beside which hardly matters.
    expected = (share * keep).sum() ** 2
    assert share_of_token(0.0) > 0.95
    assert share_of_token(0.005) == pytest.approx(expected, abs=0.05)


def test_a_batch_is_a_function_of_seed_and_step():
    one, same, other = Pairs.source(seed=3), Pairs.source(seed=3), Pairs.source(seed=4)
    one.batch(5)
    for name, value in one.batch(9).items():
        np.testing.assert_array_equal(value, same.batch(9)[name])
    assert (one.batch(9)["token_ids"] != other.batch(9)["token_ids"]).any()
    assert (one.batch(9)["token_ids"] != one.batch(10)["token_ids"]).any()
