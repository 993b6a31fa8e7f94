"""What every encoder-decoder promises, over its own zoo.

Shapes: B batch, T target time, S source time, V vocabulary.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests import zoo
from tflm import models
from tflm.errors import UserError
from tflm.metrics import cross_entropy
from tflm.models.seq2seq_lstm import Seq2SeqLSTMConfig
from tflm.models.seq2seq_transformer import Seq2SeqTransformerConfig
from tflm.run import Checkpoint, RunFolder, assign_arrays, named_arrays

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
    assert (np.abs(after[:, 7] - before[:, 7]).max(axis=-1) > 1e-3).all(), "no context is used"


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


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_save_and_load_is_bit_exact(name, tmp_path):
    config = dataclasses.replace(zoo.SEQ2SEQ_ZOO[name], dropout=0.3)
    model = models.build(config, seed=1)
    zoo.spread(model, seed=5)
    ids = np.ones((1, 4), "int32")
    model(ids, ids, training=True)  # moves the generators on
    folder = RunFolder(tmp_path)
    folder.create()
    folder.save(Checkpoint(7, named_arrays(model.variables), {}, {}), is_best=True)
    other = models.build(config, seed=2)
    assign_arrays(other.variables, folder.load_latest().model, "test")
    for one, two in zip(model.variables, other.variables, strict=True):
        assert (one.path, one.dtype) == (two.path, two.dtype)
        assert numbers(one.value).tobytes() == numbers(two.value).tobytes(), one.path
    again = [numbers(m(ids, ids, training=True)) for m in (model, other)]
    np.testing.assert_array_equal(*again)


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_the_initial_weights_depend_on_seed_and_path_only(name):
    one, same, other = (models.build(zoo.SEQ2SEQ_ZOO[name], seed) for seed in (3, 3, 4))
    paths = [variable.path for variable in one.variables]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith(one.name + "/") for path in paths)
    differs = False
    for a, b, c in zip(one.variables, same.variables, other.variables, strict=True):
        assert numbers(a.value).tobytes() == numbers(b.value).tobytes()
        differs |= numbers(a.value).tobytes() != numbers(c.value).tobytes()
        if a.path.endswith("kernel") and "recurrent_kernel" not in a.path:
            rows, columns = a.shape
            assert numbers(a.value).std() == pytest.approx((2 / (rows + columns)) ** 0.5, rel=0.15)
    assert differs


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_half_precision_is_near_float32(name, precision, built, token_ids, source_ids):
    exact = numbers(built[name](token_ids, source_ids))
    half = zoo.build(name, precision=precision)
    assert {v.dtype for v in half.trainable_variables} == {"float32"}
    for training in (False, True):
        logits = half(token_ids, source_ids, training=training)
        assert logits.dtype.name == "float32"
        logits = numbers(logits)
        assert np.isfinite(logits).all()
        assert (logits != exact).any(), "nothing was computed in half precision"
        error = np.abs(logits - exact).mean() / exact.std()
        assert error < {"mixed_bfloat16": 0.05, "mixed_float16": 0.006}[precision]
    state = half.initial_state(source_ids, 4)
    logits, state = half.step(token_ids[:, :1], state, np.int32(0))
    assert np.isfinite(numbers(logits)).all()


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_its_gradient_lowers_the_loss(name, compiled, source_ids):
    """With dropout, in one compiled step as training has it."""
    model = models.build(dataclasses.replace(zoo.SEQ2SEQ_ZOO[name], dropout=0.1), seed=1)
    random = np.random.default_rng(0)
    ids = random.integers(4, 20, (BATCH, TIME)).astype("int32")
    weights = np.full((BATCH, TIME), 1 / (BATCH * TIME), "float32")
    variables = [variable.value for variable in model.trainable_variables]

    @tf.function(jit_compile=compiled, autograph=False)
    def step():
        with tf.GradientTape() as tape:
            encoded = model.encode(source_ids, training=True)
            hidden, _ = model.hidden(ids, encoded, training=True)
            loss = cross_entropy.loss(model, hidden, ids[:, ::-1].copy(), weights)
        gradients = tape.gradient(loss, variables)
        norm = tf.linalg.global_norm([tf.convert_to_tensor(g) for g in gradients])
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(tf.convert_to_tensor(gradient) / (norm + 1e-6) * 0.3)
        return loss

    losses = [float(step()) for _ in range(8)]
    assert losses[-1] < losses[0] - 0.3, losses


def test_dropout_acts_in_training_only():
    for name in ("transformer_shared", "lstm_luong", "lstm_bahdanau"):
        model = models.build(dataclasses.replace(zoo.SEQ2SEQ_ZOO[name], dropout=0.5))
        ids, source = np.arange(8, dtype="int32")[None], zoo.source_ids((6,))
        still = numbers(model(ids, source, training=False))
        np.testing.assert_array_equal(numbers(model(ids, source)), still)
        one, two = (numbers(model(ids, source, training=True)) for _ in range(2))
        assert (one != still).any()
        assert (one != two).any()


@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_tables_are_shared_as_the_config_says(name, built):
    model = built[name]
    sharing = model.config.share_embeddings
    table = model.token_embedding.embeddings
    assert (model.source_embedding is model.token_embedding) == (sharing == "all")
    assert (model.output_table()[0] is table) == (sharing != "none")
    tables = [v.path for v in model.variables if v.shape[0] in (260, 90) and len(v.shape) == 2]
    assert len(tables) == {"all": 1, "decoder": 2, "none": 3}[sharing]


@pytest.mark.parametrize("config", [Seq2SeqTransformerConfig, Seq2SeqLSTMConfig])
def test_one_table_needs_one_vocabulary(config):
    message = (
        "share_embeddings=all needs one vocabulary .* source_vocabulary_size=9, vocabulary_size=8"
    )
    with pytest.raises(UserError, match=message):
        config(vocabulary_size=8, source_vocabulary_size=9)
    filled = config(source_vocabulary_size=9)
    filled.vocabulary_size = 8  # as training does, once it has a tokenizer
    with pytest.raises(UserError, match=message):
        models.build(filled)
    with pytest.raises(UserError, match="Unknown share_embeddings 'x'. Choose one of: all, dec"):
        config(share_embeddings="x")


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (Seq2SeqTransformerConfig, {"num_heads": 5}, "`num_heads` must divide `hidden_dim`"),
        (Seq2SeqTransformerConfig, {"positions": "x"}, "Unknown positions 'x'. Choose one of: "),
        (
            Seq2SeqTransformerConfig,
            {"hidden_dim": 9, "num_heads": 3},
            "Sinusoidal positions need an even `hidden_dim`. Received: 9",
        ),
        (
            Seq2SeqTransformerConfig,
            {"hidden_dim": 12, "positions": "rotary"},
            "Rotary positions need heads of even width",
        ),
        (Seq2SeqLSTMConfig, {"hidden_dim": 7}, "`hidden_dim` must be even: .* hidden_dim=7"),
        (Seq2SeqLSTMConfig, {"attention": "x"}, "Unknown attention 'x'. Choose one of: bahdanau"),
        (
            Seq2SeqLSTMConfig,
            {"attention": "bahdanau", "input_feeding": True},
            "`input_feeding` is an option of attention=luong",
        ),
    ],
)
def test_configs_that_cannot_be_are_refused(config, change, message):
    with pytest.raises(UserError, match=message):
        config(**change)
