"""GloVe against loops in numpy: its initial values, and a batch of its updates in float64."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from tflm import models
from tflm.data.pair_batches import COUNTS, FIRST_IDS, SECOND_IDS
from tflm.models.glove import GloVeConfig
from trainers import objectives
from trainers.objectives.glove import LeastSquaresConfig

SIZE, DIM, RATE = 40, 6, 0.05
NAMES = ("input", "output")


def glove_c(table, squares, pairs, before=None, before_squares=None, rate=RATE):
    """The inner loop of glove.c, in place; returns its cost, a list.

    Args:
        table, squares: [(V, D + 1), (V, D + 1)], squares beginning at 1.
        before, before_squares: what is looked up instead of the tables that are changed.
    """
    look = table if before is None else before
    look_squares = squares if before_squares is None else before_squares
    costs = []
    for i, j, x in pairs:
        w, u = look[0][i].copy(), look[1][j].copy()
        error = w[:-1] @ u[:-1] + w[-1] + u[-1] - np.log(x)
        weighted = min(1.0, (x / 100.0) ** 0.75) * error
        costs.append(0.5 * weighted * error)
        step, output_step = rate * weighted * u, rate * weighted * w
        step[-1] = output_step[-1] = rate * weighted
        table[0][i] -= step / np.sqrt(look_squares[0][i])
        table[1][j] -= output_step / np.sqrt(look_squares[1][j])
        squares[0][i] += step**2
        squares[1][j] += output_step**2
    return costs


def both_ways(first, second, counts):
    for i, j, x in zip(first.tolist(), second.tolist(), counts.tolist(), strict=True):
        if x > 0:
            yield i, j, x
            if i != j:
                yield j, i, x


def a_batch(words_once: bool) -> dict[str, np.ndarray]:
    """Two chunks of 12 pairs, of which one is filled up and one is a word beside itself."""
    random = np.random.default_rng(0)
    if words_once:
        ids = np.stack([random.permutation(SIZE)[:24].reshape(2, 12) for _ in range(2)])
        ids[:, 1, 3] = ids[:, 0, 3]
    else:
        ids = random.integers(4, 10, (2, 2, 12))
    counts = np.exp(random.normal(2, 2.5, (2, 12))).astype("float32")
    counts[:, 0], counts[1, -2:] = 250.0, 0.0
    assert (counts > 100).sum() > 2 < (counts < 1).sum()
    return {
        FIRST_IDS: ids[:, 0].astype("int32"),
        SECOND_IDS: ids[:, 1].astype("int32"),
        COUNTS: counts,
    }


def large_model():
    """Weights and sums so large that every term of the update can be seen."""
    random = np.random.default_rng(1)
    model = models.build(GloVeConfig(vocabulary_size=SIZE, hidden_dim=DIM))
    tables = {n: random.normal(0, 0.7, (SIZE, DIM + 1)).astype("float32") for n in NAMES}
    slots = {n: random.uniform(0, 2, (SIZE, DIM + 1)).astype("float32") for n in NAMES}
    for name, variable in model.tables().items():
        variable.assign(tables[name])
    return model, tables, slots


@pytest.mark.parametrize("words_once", [True, False])
def test_a_batch_equals_numpy(words_once):
    model, tables, slots = large_model()
    batch = a_batch(words_once)
    objective = objectives.build(LeastSquaresConfig())
    tensors = [{n: ops.convert_to_tensor(v) for n, v in group.items()} for group in (tables, slots)]
    loss, after, after_slots = objective.update(*tensors, batch, np.float32(RATE))
    table = [tables[n].astype("float64") for n in NAMES]
    squares = [slots[n].astype("float64") + 1 for n in NAMES]
    costs = []
    for chunk in zip(*(batch[n] for n in (FIRST_IDS, SECOND_IDS, COUNTS)), strict=True):
        pairs = list(both_ways(*chunk))
        if words_once:  # then a chunk is glove.c, pair after pair
            costs += glove_c(table, squares, pairs)
            continue
        before, before_squares = [t.copy() for t in table], [s.copy() for s in squares]
        for k, pair in enumerate(pairs):
            # All steps from the same tables; the squares are those of all the other pairs of the chunk, too.
            others = [s.copy() for s in before_squares]
            glove_c([t.copy() for t in table], others, pairs[:k] + pairs[k + 1 :], before)
            costs += glove_c(table, squares, [pair], before, others)
    for name, expected, sums in zip(NAMES, table, squares, strict=True):
        assert np.abs(expected - tables[name]).max() > 0.05
        np.testing.assert_allclose(np.array(after[name]), expected, atol=2e-6)
        np.testing.assert_allclose(np.array(after_slots[name]), sums - 1, atol=2e-6)
    assert float(loss) == pytest.approx(np.mean(costs), rel=1e-5)


def test_the_vectors_are_the_sum_of_both_tables():
    model, tables, _ = large_model()
    expected = tables["input"][:, :DIM] + tables["output"][:, :DIM]
    np.testing.assert_allclose(np.array(model.embeddings()), expected, atol=1e-6)
    np.testing.assert_allclose(
        np.array(model(np.array([[3, 5]]))), expected[None, [3, 5]], atol=1e-6
    )


def test_the_beginning_is_that_of_glove_c():
    """(rand() / RAND_MAX - 0.5) / (vector_size + 1), the biases included."""
    tables = models.build(GloVeConfig(vocabulary_size=3000, hidden_dim=DIM), seed=2).tables()
    first, second = (np.array(table) for table in tables.values())
    assert (first != second).mean() > 0.99
    for table in (first, second):
        assert np.abs(table).max() == pytest.approx(0.5 / (DIM + 1), rel=1e-3)
        assert np.abs(table).max() <= 0.5 / (DIM + 1)
        assert table.std() == pytest.approx(1 / (DIM + 1) / 12**0.5, rel=0.02)


JAX_SIDE = """
import sys
import jax
import numpy as np
from trainers import objectives
from trainers.objectives.glove import LeastSquaresConfig

given = dict(np.load(sys.argv[1]))
tables, slots, batch = ({n[2:]: v for n, v in given.items() if n[0] == group} for group in "tsb")
update = jax.jit(objectives.build(LeastSquaresConfig()).update)
loss, tables, slots = update(tables, slots, batch, np.float32(sys.argv[2]))
np.savez(sys.argv[1], loss=loss, **{f"t {n}": v for n, v in tables.items()}, **{f"s {n}": v for n, v in slots.items()})
"""


@pytest.mark.slow
def test_jax_agrees(tmp_path):
    _, tables, slots = large_model()
    batch = a_batch(words_once=False)
    given = {f"t {n}": v for n, v in tables.items()} | {f"s {n}": v for n, v in slots.items()}
    np.savez(tmp_path / "arrays.npz", **given, **{f"b {n}": v for n, v in batch.items()})
    subprocess.run(
        [sys.executable, "-c", JAX_SIDE, str(tmp_path / "arrays.npz"), str(RATE)],
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        check=True,
    )
    objective = objectives.build(LeastSquaresConfig())
    tensors = [{n: ops.convert_to_tensor(v) for n, v in group.items()} for group in (tables, slots)]
    loss, tables, slots = objective.update(*tensors, batch, np.float32(RATE))
    found = np.load(tmp_path / "arrays.npz")
    assert float(found["loss"]) == pytest.approx(float(loss), rel=1e-5)
    for name in NAMES:
        np.testing.assert_allclose(found[f"t {name}"], np.array(tables[name]), atol=1e-5)
        np.testing.assert_allclose(found[f"s {name}"], np.array(slots[name]), atol=1e-5)
