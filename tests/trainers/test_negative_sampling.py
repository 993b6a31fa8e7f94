"""Skip-gram and CBOW, over words and over subwords, against loops over single pairs in float64."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from tests.tiny_training import learnable_tokens, token_split
from tflm import models
from tflm.models.fasttext import FastTextConfig
from tflm.models.word2vec import Word2VecConfig
from trainers import objectives
from trainers.experiment import TrainConfig
from trainers.objectives.cbow import CBOWConfig
from trainers.objectives.skip_gram import SkipGramConfig

RATE = 0.1
CONFIGS = {"skip_gram": SkipGramConfig, "cbow": CBOWConfig}
MODELS = {
    "word2vec": Word2VecConfig(vocabulary_size=44, hidden_dim=6, window=3),
    "fasttext": FastTextConfig(vocabulary_size=44, hidden_dim=6, window=3, buckets=300, max_n=4),
}
SYLLABLES = ("ka", "lo", "mi", "ne", "su", "té", "vo", "世", "ры")
WORDS = ["<pad>", "<unk>", "<s>", "</s>"]
WORDS += [SYLLABLES[i % 9] + SYLLABLES[i // 9] * (i % 2) for i in range(40)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def set_up(kind: str, family: str, **train):
    """The objective, a model with large weights, and a source over a text of two documents."""
    model = models.build(MODELS[family])
    if family == "fasttext":
        model.read_vocabulary(WORDS)
    random = np.random.default_rng(0)
    for variable in model.tables().values():
        variable.assign(random.normal(0, 0.6, variable.shape))
    objective = objectives.build(CONFIGS[kind](negatives=3, shared_negatives=4, subsample=0.02))
    tokens = np.concatenate([[2], learnable_tokens(300), [3, 2], learnable_tokens(200, 1), [3]])
    train = TrainConfig(**{"batch_size": 4, "sequence_length": 60, "learning_rate": RATE} | train)
    return objective, model, objective.batches(token_split(tokens), model, train)


def reference_chunk(kind, table, output, rows_of, chunk, negatives=3):
    """One chunk of word2vec.c's (or fastText's) update, all pairs from the same weights; (loss, pairs) of block 0."""
    ids, drawn, (left, right) = chunk["position_ids"], chunk["negative_ids"], chunk["reach"]
    window = (len(ids) - len(left)) // 2
    block = len(left) // len(drawn)
    new_table, new_output, losses, pairs = table.copy(), output.copy(), 0.0, 0

    def meet(rows, word, weight, sign):
        """-log sigmoid of the mean of `rows` and an output row, and its gradient step."""
        hidden = table[rows].mean(axis=0)
        slope = weight * sign * (1 - sigmoid(sign * (hidden @ output[word])))
        for row in rows:
            new_table[row] += RATE * slope * output[word]
        new_output[word] += RATE * slope * hidden
        return -weight * np.log(sigmoid(sign * (hidden @ output[word])))

    for i in range(len(left)):
        places = range(i + window - left[i], i + window + right[i] + 1)
        # A word does not meet itself, neither here nor where it stands again.
        around = [p for p in places if ids[p] != ids[i + window]]
        share = negatives / drawn.shape[1]
        loss = 0.0
        if kind == "skip_gram":
            rows = rows_of(ids[i + window])
            for place in around:
                loss += meet(rows, ids[place], 1.0, 1.0)
            for word in drawn[i // block] if around else ():
                loss += meet(rows, word, len(around) * share, -1.0)
            found = len(around)
        elif around:
            rows = np.concatenate([rows_of(ids[place]) for place in around])
            loss += meet(rows, ids[i + window], 1.0, 1.0)
            for word in drawn[i // block]:
                loss += meet(rows, word, share, -1.0)
            found = 1
        else:
            found = 0
        if i < block:
            losses, pairs = losses + loss, pairs + found
    return new_table, new_output, losses, pairs


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_batch_equals_numpy(kind, family):
    objective, model, source = set_up(kind, family)
    tables = {name: ops.convert_to_tensor(v) for name, v in model.tables().items()}
    batch = source.batch(1)
    assert batch["num_chunks"][0] >= 2, "the second chunk sees what the first one learnt"
    loss, after, _ = objective.update(tables, {}, batch, np.float32(RATE))
    table, output = (np.array(tables[n], "float64") for n in ("input", "output"))
    before = table.copy(), output.copy()
    losses, pairs = 0.0, 0

    def rows_of(word):
        if model.bags is None:
            return np.array([word])
        return model.bags.ids[model.bags.splits[word] : model.bags.splits[word + 1]]

    for c in range(batch["num_chunks"][0]):
        chunk = {name: value[c] for name, value in batch.items() if name != "num_chunks"}
        table, output, chunk_loss, found = reference_chunk(kind, table, output, rows_of, chunk)
        losses, pairs = losses + chunk_loss, pairs + found
    assert np.abs(table - before[0]).max() > 0.05 < np.abs(output - before[1]).max()
    np.testing.assert_allclose(np.array(after["input"]), table, atol=2e-5)
    np.testing.assert_allclose(np.array(after["output"]), output, atol=2e-5)
    assert float(loss) == pytest.approx(losses / pairs, rel=1e-4)


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("kind", CONFIGS)
def test_validation_is_the_mean_over_all_pairs(kind, family):
    objective, model, source = set_up(kind, family)
    train = TrainConfig(batch_size=4, sequence_length=60, learning_rate=RATE)
    tokens = np.concatenate([[2], learnable_tokens(300), [3]])
    measured = objective.evaluator(model, train, None)(token_split(tokens))
    assert measured["num_pairs"] > 300
    # With weights of zero every sigmoid is 1/2: a pair and 3 negatives.
    for variable in model.tables().values():
        variable.assign(np.zeros(variable.shape))
    flat = objective.evaluator(model, train, None)(token_split(tokens))
    assert flat["loss"] == pytest.approx(4 * np.log(2), rel=1e-5)
    assert flat["num_pairs"] == measured["num_pairs"]
    assert abs(measured["loss"] - flat["loss"]) > 5e-4


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("kind", CONFIGS)
def test_words_that_stand_together_come_together(kind, family):
    """In the text every word 20 + i follows word i."""
    rate = {"word2vec": 0.05, "fasttext": 0.02}[family]  # these words share most of their n-grams
    objective, model, source = set_up(kind, family, learning_rate=rate)
    tables = {name: ops.convert_to_tensor(v) * 0.1 for name, v in model.tables().items()}
    losses = []
    for step in range(150):
        loss, tables, _ = objective.update(tables, {}, source.batch(step), np.float32(rate))
        losses.append(float(loss))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-20:]) < np.mean(losses[:5]) - 0.2


def test_settings_are_checked():
    for field in ("negatives", "shared_negatives"):
        with pytest.raises(Exception, match=f"`{field}` must be at least 1. Received: 0"):
            dataclasses.replace(SkipGramConfig(), **{field: 0})
