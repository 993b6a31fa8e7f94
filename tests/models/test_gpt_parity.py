"""GPT against a second implementation in numpy, and its attention against Keras'."""

import keras
import numpy as np
import pytest
from keras import ops

from tests import zoo
from tests.models import numpy_gpt
from tflm import models
from tflm.errors import UserError
from tflm.layers.attention import Attention
from tflm.layers.rotary import rotate
from tflm.models.gpt import GPTConfig
from tflm.run import named_arrays

SHAPE = {"vocabulary_size": 30, "num_heads": 4, "hidden_dim": 16, "max_sequence_length": 12}
CONFIGS = {
    "gpt2": GPTConfig(
        **SHAPE,
        num_layers=2,
        positions="learned",
        normalization="layer_norm",
        use_bias=True,
        intermediate_dim=20,
    ),
    "llama": GPTConfig(**SHAPE, num_layers=2, num_key_value_heads=2, activation="swiglu"),
    "one key head, untied": GPTConfig(
        **SHAPE, num_layers=1, num_key_value_heads=1, tie_embeddings=False, rotary_base=50.0
    ),
    "mixture": GPTConfig(
        **SHAPE,
        num_layers=1,
        positions="learned",
        activation="swiglu",
        normalization="layer_norm",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_whole_model_equals_numpy(name):
    config = CONFIGS[name]
    model = models.build(config)
    zoo.spread(model, seed=1)
    token_ids = np.random.default_rng(2).integers(0, 30, (2, 12)).astype("int32")
    logits = np.array(model(token_ids))
    weights = named_arrays(model.variables)
    for row in range(2):
        expected = numpy_gpt.logits(config, weights, token_ids[row])
        assert expected.std() > 0.5
        np.testing.assert_allclose(logits[row], expected, atol=2e-5)


def test_attention_equals_keras_grouped_query_attention():
    """The same weights in keras.layers.GroupQueryAttention under a causal mask, no rotation."""
    heads, groups, width, hidden = 4, 2, 3, 12
    ours = Attention(hidden, heads, groups, None, 0.0, True, name="attention")
    ours.build((None, None, hidden))
    random = np.random.default_rng(0)
    for variable in ours.variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    theirs = keras.layers.GroupQueryAttention(width, heads, groups, use_bias=True)
    x = random.normal(size=(2, 7, hidden)).astype("float32")
    theirs(x, x)
    kernel = np.array(ours.query_key_value.kernel).reshape(hidden, heads + 2 * groups, width)
    bias = np.array(ours.query_key_value.bias).reshape(heads + 2 * groups, width)
    cuts = (slice(0, heads), slice(heads, heads + groups), slice(heads + groups, None))
    values = {
        "query": (kernel[:, cuts[0]], bias[cuts[0]]),
        "key": (kernel[:, cuts[1]], bias[cuts[1]]),
        "value": (kernel[:, cuts[2]], bias[cuts[2]]),
        "attention_output": (
            np.array(ours.output_projection.kernel).reshape(heads, width, hidden),
            np.array(ours.output_projection.bias),
        ),
    }
    for variable in theirs.variables:
        layer, kind = variable.path.split("/")[-2:]
        variable.assign(values[layer][kind == "bias"])
    expected = theirs(x, x, use_causal_mask=True)
    np.testing.assert_allclose(np.array(ours(x)[0]), np.array(expected), atol=1e-5)


def test_rotation_is_a_product_with_a_complex_number():
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 8)).astype("float32")
    positions = np.array([0, 1, 7, 100, 3000], "int32")
    turned = np.array(rotate(ops.convert_to_tensor(x), positions, base=500.0))
    z = x[..., :4].astype("float64") + 1j * x[..., 4:]
    z = z * np.exp(1j * positions[:, None] * 500.0 ** (-np.arange(4) / 4))[None, :, None, :]
    expected = np.concatenate([z.real, z.imag], axis=-1)
    # The angle itself is a float32: at position 3000 it is known to 2e-4.
    np.testing.assert_allclose(turned[:, :4], expected[:, :4], atol=5e-5)
    np.testing.assert_allclose(turned, expected, atol=2e-3)


def test_rotated_products_depend_on_the_distance_only():
    q, k = np.random.default_rng(0).normal(size=(2, 1, 1, 1, 8)).astype("float32")

    def product(i, j):
        at = [np.array([place], "int32") for place in (i, j)]
        return float(ops.sum(rotate(q, at[0]) * rotate(k, at[1])))

    assert product(9, 4) == pytest.approx(product(25, 20), abs=1e-5)
    assert product(9, 4) != pytest.approx(product(9, 5), abs=1e-2)


def test_dropout_acts_in_training_only():
    config = GPTConfig(**SHAPE, num_layers=1, dropout=0.5)
    model = models.build(config)
    ids = np.arange(8, dtype="int32")[None]
    still = np.array(model(ids, training=False))
    np.testing.assert_array_equal(np.array(model(ids)), still)
    one, two = (np.array(model(ids, training=True)) for _ in range(2))
    assert (one != still).any()
    assert (one != two).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 5}, "`num_heads` must divide `hidden_dim`. Received: num_heads=5, hidden"),
        ({"num_key_value_heads": 3}, "`num_key_value_heads` must divide `num_heads`"),
        ({"positions": "rotery"}, "Unknown positions 'rotery'. Choose one of: learned, rotary"),
        ({"hidden_dim": 12}, "Rotary positions need heads of even width"),
        ({"dropout": 1.0}, "`dropout` must be from 0 to below 1. Received: 1.0"),
        ({"num_layers": 0}, "`num_layers` must be at least 1. Received: 0"),
    ],
)
def test_configs_that_cannot_be_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        GPTConfig(**(SHAPE | change))


@pytest.mark.parametrize("field", ["activation", "normalization"])
def test_unknown_names_list_the_known_ones(field):
    with pytest.raises(UserError, match=f"Unknown {field} 'x'. Choose one of: "):
        models.build(GPTConfig(**SHAPE, num_layers=1, **{field: "x"}))
