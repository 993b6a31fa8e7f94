"""GloVe as a training: its batches, the value its loss falls to, what validation measures, and going on."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from tests.models.test_glove_parity import both_ways, glove_c
from tests.tiny_experiments import tiny_experiment
from tests.tiny_training import token_split
from tflm import models
from tflm.data.cooccurrence import cooccurrences
from tflm.data.pair_batches import COUNTS, FIRST_IDS, SECOND_IDS, PairBatches
from tflm.errors import UserError
from tflm.models.glove import GloVeConfig
from tflm.run import RunFolder
from tflm.text.tokenizer import TokenizerConfig
from trainers import fit, objectives
from trainers.experiment import TrainConfig
from trainers.objectives.glove import LeastSquaresConfig
from trainers.run_differences import differences_of

SIZE = 64


def text(count: int = 6000, seed: int = 0) -> np.ndarray:
    """Words of ten topics, each a few sentences long."""
    random = np.random.default_rng(seed)
    topics = np.repeat(random.integers(0, 10, count // 20), 20)
    words = np.where(random.random(count) < 0.5, topics * 6 + random.integers(0, 6, count), 0)
    words = np.where(words > 0, words, random.integers(0, 60, count))
    return np.concatenate([[2], words + 4, [3]])


def set_up(tokens=None, window: int = 4, **train):
    """The objective, a model, and the source of batches over a text."""
    model = models.build(GloVeConfig(vocabulary_size=SIZE, hidden_dim=8, window=window))
    objective = objectives.build(LeastSquaresConfig())
    train = TrainConfig(**{"batch_size": 4, "sequence_length": 32, "learning_rate": 0.05} | train)
    split = token_split(text() if tokens is None else tokens)
    return objective, model, objective.batches(split, model, train)


def pairs_of(batch: dict) -> list[tuple]:
    used = batch[COUNTS] > 0
    return list(
        zip(*(batch[n][used].tolist() for n in (FIRST_IDS, SECOND_IDS, COUNTS)), strict=True)
    )


def test_an_epoch_has_every_pair_once():
    objective, model, source = set_up()
    table = cooccurrences(token_split(text()), SIZE, 4)
    source = PairBatches(table, 32, 4, seed=3)
    expected = sorted(table.read(0, table.num_pairs).tolist())
    chunks = -(-table.num_pairs // 32)
    assert table.num_pairs % 32, "the last chunk is filled up"
    assert source.steps_per_epoch == chunks / 4
    epochs = [[], [], []]
    for step in range(chunks * 3 // 4):
        batch = source.batch(step)
        for row in range(4):
            epochs[(step * 4 + row) // chunks] += pairs_of({n: v[row] for n, v in batch.items()})
    assert sorted(epochs[0]) == sorted(epochs[1]) == expected
    assert epochs[0] != epochs[1]
    assert len(expected) > 1000


def test_a_batch_is_a_function_of_seed_and_step():
    one, same, other = (set_up(seed=seed)[2] for seed in (3, 3, 4))
    one.batch(5)
    for name, value in one.batch(9).items():
        assert value.shape == (4, 32)
        assert value.dtype == ("float32" if name == COUNTS else "int32")
        np.testing.assert_array_equal(value, same.batch(9)[name])
    assert (one.batch(9)[FIRST_IDS] != other.batch(9)[FIRST_IDS]).any()
    assert (one.batch(9)[FIRST_IDS] != one.batch(10)[FIRST_IDS]).any()


def test_a_word_is_in_few_pairs_of_a_chunk():
    """The chunk gets shorter, and there are more of them."""
    _, _, source = set_up(batch_size=2, sequence_length=4096)
    # 60 words and about 1,800 pairs: 8 times as many pairs as the average word has.
    table = cooccurrences(token_split(text()), SIZE, 4)
    assert source.chunk_size == 8 * table.num_pairs // SIZE
    batch = source.batch(0)[FIRST_IDS]
    assert batch.shape == (2 * 4096 // source.chunk_size, source.chunk_size)
    assert source.tokens_per_step == batch.size


def loss_of(tables, pairs) -> float:
    """Equation 8 as glove.c prints it."""
    i, j, x = (np.array(column) for column in zip(*pairs, strict=True))
    w, u = (np.asarray(table, "float64") for table in tables)
    products = (w[i, :-1] * u[j, :-1]).sum(axis=1) + w[i, -1] + u[j, -1]
    return float(np.mean(0.5 * np.minimum(1, (x / 100) ** 0.75) * (products - np.log(x)) ** 2))


def test_the_loss_falls_to_that_of_glove_c():
    """Five epochs, pair after pair in float64, and in chunks of more pairs than there are words."""
    objective, model, source = set_up(sequence_length=128, batch_size=8)
    assert source.chunk_size == 128 > SIZE
    tables = {n: ops.convert_to_tensor(v) for n, v in model.tables().items()}
    slots = {n: ops.convert_to_tensor(v) for n, v in objective.slots(model).items()}
    reference = [np.array(v, "float64") for v in tables.values()]
    squares = [np.ones_like(table) for table in reference]
    everything = cooccurrences(token_split(text()), SIZE, 4)
    columns = everything.read(0, everything.num_pairs)
    pairs = list(both_ways(columns["first"], columns["second"], columns["count"]))
    first = loss_of(reference, pairs)
    for step in range(round(5 * source.steps_per_epoch)):
        batch = source.batch(step)
        flat = (batch[name].ravel() for name in (FIRST_IDS, SECOND_IDS, COUNTS))
        costs = glove_c(reference, squares, both_ways(*flat))
        loss, tables, slots = objective.update(tables, slots, batch, np.float32(0.05))
        assert float(loss) == pytest.approx(np.mean(costs), rel=0.2)
    expected = loss_of(reference, pairs)
    assert expected < first / 10
    assert loss_of(tables.values(), pairs) == pytest.approx(expected, rel=0.02)


def test_validation_is_the_loss_up_to_the_size_of_the_text():
    _, model, _ = set_up()
    random = np.random.default_rng(0)
    for variable in model.tables().values():
        variable.assign(random.normal(0, 0.5, variable.shape))
    split = token_split(text(900, seed=5), "validation")
    table = cooccurrences(split, SIZE, 4)
    columns = table.read(0, table.num_pairs)
    pairs = list(both_ways(columns["first"], columns["second"], columns["count"]))
    first, second = (np.array(v) for v in model.tables().values())
    i, j, x = (np.array(column) for column in zip(*pairs, strict=True))
    products = (first[i, :-1] * second[j, :-1]).sum(axis=1) + first[i, -1] + second[j, -1]
    shifts, weights = np.linspace(-3, 3, 601), np.minimum(1, (x / 100) ** 0.75)

    def least_loss(used):
        errors = (products - np.log(x))[used]
        return min(np.mean(0.5 * weights[used] * (errors + shift) ** 2) for shift in shifts)

    def measure(least: float, **settings):
        objective = objectives.build(LeastSquaresConfig(validation_count=least))
        return objective.evaluator(model, TrainConfig(), None)(split, **settings)

    measured = measure(least=2.0)
    assert len(pairs) > 2 * measured["num_pairs"] > 200
    assert measured["num_pairs"] == (x >= 2).sum()
    assert measured["loss"] == pytest.approx(least_loss(x >= 2), rel=1e-3)
    assert measured["loss_of_all_pairs"] == pytest.approx(least_loss(x > 0), rel=1e-3)
    for few in (0.0, 50.0):  # no limit, and one that almost no pair reaches
        assert measure(few)["num_pairs"] == len(pairs)
        assert measure(few)["loss"] == pytest.approx(measured["loss_of_all_pairs"])
    part = measure(0.0, max_tokens=len(split.tokens) // 3)
    assert part["num_pairs"] == pytest.approx(len(pairs) / 3, rel=0.02)
    assert part["loss"] == pytest.approx(measured["loss_of_all_pairs"], rel=0.3)


def test_a_larger_text_of_the_same_words_has_the_same_loss():
    """Twice the text, twice the counts: nothing but the weights of the pairs changes, and they change alike."""
    _, model, _ = set_up()
    objective = objectives.build(LeastSquaresConfig(x_max=1e9, validation_count=0.0))
    evaluate = objective.evaluator(model, TrainConfig(), None)
    once, twice = (evaluate(token_split(np.tile(text(900), k))) for k in (1, 2))
    assert twice["num_pairs"] == once["num_pairs"]
    assert twice["loss"] / once["loss"] == pytest.approx(2**0.75, rel=1e-3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"x_max": 0.0}, "`x_max` must be positive. Received: 0.0."),
        ({"alpha": -1.0}, "`alpha` must be at least 0. Received: -1.0."),
        ({"validation_count": -1.0}, "`validation_count` must be at least 0. Received: -1.0."),
    ],
)
def test_settings_are_checked(config, message):
    with pytest.raises(UserError, match=message):
        LeastSquaresConfig(**config)


def test_a_text_without_pairs_is_refused():
    with pytest.raises(
        UserError,
        match="The train text must have two known words within 4 places of each other. Received: none.",
    ):
        set_up([2, 5, 3, 2, 1, 6, 1, 3])


def experiment(corpus, **train):
    settings = {
        "steps": 4,
        "eval_every": 2,
        "batch_size": 4,
        "sequence_length": 64,
        "keep_checkpoints": 9,
        "optimizer": "adagrad",
        "learning_rate": 0.05,
        "schedule": "constant",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "clip_norm": 0.0,
    }
    return dataclasses.replace(
        tiny_experiment("word2vec", corpus, **settings | train),
        model=GloVeConfig(hidden_dim=8, window=4),
        objective=LeastSquaresConfig(),
        tokenizer=TokenizerConfig(kind="word", normalization=("lowercase",)),
    )


def test_half_and_half_is_the_whole(corpus, tmp_path):
    for name in ("straight", "broken"):
        fit.train(experiment(corpus), tmp_path / name)
    last = RunFolder(tmp_path / "broken").checkpoints / "step_00000004"
    (last / "model.safetensors").write_bytes(b"")
    assert fit.train(experiment(corpus), tmp_path / "broken").progress.step == 4
    assert differences_of(tmp_path / "straight", tmp_path / "broken") == []
    straight = RunFolder(tmp_path / "straight")
    metrics = straight.load_latest().state["metrics"]
    assert metrics["num_pairs"] > 100 and np.isfinite(metrics["loss"])
    slots = [k for k in straight.load_latest().training if "slot" in k]
    assert len(slots) == 2, "AdaGrad's sums are kept"


def test_another_optimizer_is_refused(corpus, tmp_path):
    with pytest.raises(
        UserError, match="The objective glove updates single rows, with train.optimizer='adagrad'"
    ):
        fit.train(experiment(corpus, optimizer="adamw"), tmp_path / "run")
