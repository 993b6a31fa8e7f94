"""What every encoder-decoder computes from a source and a target, over its own zoo.

Shapes: B batch, T target time, S source time, V vocabulary.
"""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests import zoo

LENGTHS = (9, 4, 7)
BATCH, TIME, SOURCE_TIME = 3, 12, 9
CHUNKINGS = {
    "one by one": (1,) * 12,
    "prompt, then token by token": (8, 1, 1, 2),
    "whole": (12,),
}


@pytest.fixture(scope="module")
def built():
    """Every member of the zoo, built once: the tests here only read them."""
    return {name: zoo.build(name) for name in zoo.SEQ2SEQ_ZOO}


@pytest.fixture(scope="module")
def token_ids():
    return np.random.default_rng(0).integers(4, zoo.VOCABULARY_SIZE, (BATCH, TIME)).astype("int32")


@pytest.fixture(scope="module")
def source_ids():
    return zoo.source_ids(LENGTHS)


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_step_equals_the_full_forward_pass(name, chunking, built, token_ids, source_ids):
    model = built[name]
    whole = numbers(model(token_ids, source_ids))
    state, position, parts = model.initial_state(source_ids, TIME + 3), 0, []
    for length in CHUNKINGS[chunking]:
        ids = token_ids[:, position : position + length]
        logits, state = model.step(ids, state, np.int32(position))
        parts.append(numbers(logits))
        position += length
    assert whole.shape == (BATCH, TIME, zoo.VOCABULARY_SIZE)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=3e-5)


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_the_way_of_training_computes_the_same_without_dropout(name, built, token_ids, source_ids):
    model = built[name]
    trained = numbers(model(token_ids, source_ids, training=True))
    np.testing.assert_allclose(trained, numbers(model(token_ids, source_ids)), atol=3e-5)


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_a_token_changes_nothing_before_it_and_something_after_it(
    name, built, token_ids, source_ids
):
    model = built[name]
    changed = token_ids.copy()
    changed[:, 6] = (changed[:, 6] + 1) % zoo.VOCABULARY_SIZE
    before, after = (numbers(model(ids, source_ids)) for ids in (token_ids, changed))
    np.testing.assert_allclose(after[:, :6], before[:, :6], atol=2e-5)
    assert (np.abs(after[:, 6] - before[:, 6]).max(axis=-1) > 1e-2).all()
    # Not of every row: where norms come last, a step may look to one place alone.
    assert np.abs(after[:, 7:] - before[:, 7:]).max() > 1e-3, "no context is used"


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_every_token_of_the_source_changes_every_position_of_the_target(
    name, built, token_ids, source_ids
):
    model = built[name]
    before = numbers(model(token_ids, source_ids))
    for place in (0, 2, 3):  # 3 is the last one of the shortest source
        changed = source_ids.copy()
        changed[:, place] = 4 + (changed[:, place] + 1) % 80
        after = numbers(model(token_ids, changed))
        assert (np.abs(after - before).max(axis=-1) > 1e-4).all(), place


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_padding_changes_nothing(name, training, built, token_ids, source_ids):
    model = built[name]
    together = numbers(model(token_ids, source_ids, training=training))
    longer = np.pad(source_ids, ((0, 0), (0, 5)))
    np.testing.assert_allclose(
        numbers(model(token_ids, longer, training=training)), together, atol=2e-5
    )
    for row, length in enumerate(LENGTHS):
        ids, source = token_ids[row : row + 1], source_ids[row : row + 1, :length]
        alone = numbers(model(ids, source, training=training))
        np.testing.assert_allclose(together[row : row + 1], alone, atol=2e-5)


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_padding_gets_no_gradient(name, built, token_ids, source_ids):
    """That of the table of embeddings is 0 in the row of the padding, but where the output shares it."""
    model = built[name]
    if model.source_embedding is model.token_embedding:
        pytest.skip("The output's gradient is there, too.")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.square(model(token_ids, source_ids, training=True)))
    gradient = tape.gradient(total, model.source_embedding.embeddings.value)
    gradient = np.array(tf.convert_to_tensor(gradient))
    assert np.abs(gradient[source_ids[0, 0]]).max() > 1e-3
    np.testing.assert_array_equal(gradient[0], 0)


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_a_state_can_be_reordered(name, built, token_ids, source_ids):
    """What a beam does: repeat what is of the source, take rows of the rest after a step."""
    model = built[name]
    rows = np.array([2, 0, 0, 1, 2])
    encoded = model.encode(source_ids, training=False)
    assert all(key.startswith("source_") for key in encoded)
    assert all(value.shape[0] == BATCH for value in encoded.values())
    state = model.start(encoded, TIME)
    _, state = model.step(token_ids[:, :5], state, np.int32(0))
    for key, value in encoded.items():
        assert state[key] is value or (numbers(state[key]) == numbers(value)).all(), key
    expected, _ = model.step(token_ids[:, 5:6], state, np.int32(5))
    taken = {key: ops.take(value, rows, axis=0) for key, value in state.items()}
    logits, after = model.step(token_ids[rows, 5:6], taken, np.int32(5))
    np.testing.assert_allclose(numbers(logits), numbers(expected)[rows], atol=2e-5)
    assert {k: (v.shape, v.dtype) for k, v in after.items()} == {
        k: (v.shape, v.dtype) for k, v in taken.items()
    }


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_attention_maps_are_shares_of_the_real_tokens(name, built, token_ids, source_ids):
    weights = numbers(built[name].source_attention(token_ids, source_ids))
    assert weights.shape == (BATCH, TIME, SOURCE_TIME)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert (weights[:, :, :][np.broadcast_to(source_ids[:, None] == 0, weights.shape)] == 0).all()
    assert weights.std(axis=1).max() > 1e-3, "every step looks to the same place"
