"""The weights of encoder-decoders: their beginning, their files, their precision, their gradients, their configs.

Shapes: B batch, T target time.
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

BATCH, TIME = 3, 6


@pytest.fixture(scope="module")
def token_ids():
    return np.random.default_rng(0).integers(4, zoo.VOCABULARY_SIZE, (BATCH, TIME)).astype("int32")


@pytest.fixture(scope="module")
def source_ids():
    return zoo.source_ids((7, 4, 6))


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


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
def test_half_precision_is_near_float32(name, precision, token_ids, source_ids):
    exact = numbers(zoo.build(name)(token_ids, source_ids))
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


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["graph", "xla"]
)
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
def test_tables_are_shared_as_the_config_says(name):
    model = models.build(zoo.SEQ2SEQ_ZOO[name])
    sharing = model.config.share_embeddings
    table = model.token_embedding.embeddings
    assert (model.source_embedding is model.token_embedding) == (sharing == "all")
    assert (model.output_table()[0] is table) == (sharing != "none")
    tables = [v.path for v in model.variables if v.shape[0] in (260, 90) and len(v.shape) == 2]
    assert len(tables) == {"all": 1, "decoder": 2, "none": 3}[sharing]
    assert model.count_params() == sum(v.value.numpy().size for v in model.variables)


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
