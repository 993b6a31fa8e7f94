"""What every family promises, over the whole zoo.

Shapes: B batch, T time, V vocabulary.
"""

import dataclasses

import numpy as np
import pytest
from keras import ops

from tests import zoo
from tflm import models
from tflm.run import Checkpoint, RunFolder, assign_arrays, named_arrays

BATCH, TIME = 3, 12
CHUNKINGS = {
    "one by one": (1,) * 12,
    "uneven": (5, 1, 4, 2),
    "prompt, then token by token": (8, 1, 1, 1, 1),
    "whole": (12,),
}


@pytest.fixture(scope="module")
def built():
    """Every member of the zoo, built once: the tests here only read them."""
    return {name: zoo.build(name) for name in zoo.ZOO}


@pytest.fixture(scope="module")
def token_ids():
    return np.random.default_rng(0).integers(4, zoo.VOCABULARY_SIZE, (BATCH, TIME)).astype("int32")


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("name", zoo.ZOO)
def test_step_equals_the_full_forward_pass(name, chunking, built, token_ids):
    model = built[name]
    whole = numbers(model(token_ids))
    state, position, parts = model.initial_state(BATCH, TIME + 3), 0, []
    for length in CHUNKINGS[chunking]:
        ids = token_ids[:, position : position + length]
        logits, state = model.step(ids, state, np.int32(position))
        parts.append(numbers(logits))
        position += length
    assert whole.shape == (BATCH, TIME, zoo.VOCABULARY_SIZE)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=2e-5)


@pytest.mark.parametrize("name", zoo.ZOO)
def test_a_token_changes_nothing_before_it_and_something_after_it(name, built, token_ids):
    model = built[name]
    changed = token_ids.copy()
    changed[:, 6] = (changed[:, 6] + 1) % zoo.VOCABULARY_SIZE
    before, after = numbers(model(token_ids)), numbers(model(changed))
    np.testing.assert_allclose(after[:, :6], before[:, :6], atol=1e-5)
    assert (np.abs(after[:, 6] - before[:, 6]).max(axis=-1) > 1e-2).all()
    assert (np.abs(after[:, 7] - before[:, 7]).max(axis=-1) > 1e-3).all(), "no context is used"


@pytest.mark.parametrize("name", zoo.ZOO)
def test_rows_do_not_see_each_other(name, built, token_ids):
    model = built[name]
    alone = numbers(model(token_ids[1:2]))
    np.testing.assert_allclose(numbers(model(token_ids))[1:2], alone, atol=1e-5)


@pytest.mark.parametrize("name", zoo.ZOO)
def test_save_and_load_is_bit_exact(name, tmp_path):
    config = zoo.ZOO[name]
    if hasattr(config, "dropout"):  # the states of the random generators belong to the weights
        config = dataclasses.replace(config, dropout=0.3)
    model = models.build(config, seed=1)
    zoo.spread(model, seed=5)
    if hasattr(config, "dropout"):
        model(np.zeros((1, 4), "int32"), training=True)  # moves the generators on
    folder = RunFolder(tmp_path)
    folder.create()
    folder.save(Checkpoint(7, named_arrays(model.variables), {}, {"note": "x"}), is_best=True)

    other = models.build(config, seed=2)
    loaded = folder.load_latest()
    assign_arrays(other.variables, loaded.model, "test")
    assert (loaded.step, loaded.state) == (7, {"note": "x"})
    for one, two in zip(model.variables, other.variables, strict=True):
        assert one.path == two.path
        assert one.dtype == two.dtype
        assert numbers(one.value).tobytes() == numbers(two.value).tobytes(), one.path


@pytest.mark.parametrize("name", zoo.ZOO)
def test_the_initial_weights_depend_on_seed_and_path_only(name):
    one, same, other = (models.build(zoo.ZOO[name], seed) for seed in (3, 3, 4))
    paths = [variable.path for variable in one.variables]
    assert len(set(paths)) == len(paths)
    differs = False
    for a, b, c in zip(one.variables, same.variables, other.variables, strict=True):
        assert numbers(a.value).tobytes() == numbers(b.value).tobytes()
        differs |= numbers(a.value).tobytes() != numbers(c.value).tobytes()
    assert differs


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", zoo.ZOO)
def test_half_precision_is_near_float32(name, precision, built, token_ids):
    exact = numbers(built[name](token_ids))
    half = zoo.build(name, precision=precision)
    assert {v.dtype for v in half.trainable_variables} == {"float32"}
    logits = half(token_ids)
    assert logits.dtype.name == "float32"
    logits = numbers(logits)
    assert np.isfinite(logits).all()
    assert (logits != exact).any(), "nothing was computed in half precision"
    error = np.abs(logits - exact).mean() / exact.std()
    assert error < {"mixed_bfloat16": 0.03, "mixed_float16": 0.004}[precision]


@pytest.mark.parametrize("name", zoo.ZOO)
def test_embeddings_are_the_input_table(name, built):
    model = built[name]
    table = numbers(model.embeddings())
    assert table.shape[0] == zoo.VOCABULARY_SIZE
    np.testing.assert_array_equal(table, numbers(model.token_embedding.embeddings.value))
