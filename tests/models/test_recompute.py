"""Blocks computed again in the backward pass, and blocks left out: the same gradients, the promised shares."""

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_training import tiny_training
from tflm import models
from tflm.layers.dropout import Dropout
from tflm.layers.transformer_block import TransformerBlock
from tflm.models.gpt import GPTConfig
from tflm.run import named_arrays

RANDOM = {"dropout": 0.3, "stochastic_depth": 0.4}


def trained(jit_compile: bool, **model) -> dict[str, np.ndarray]:
    """All variables after two steps: the second one draws from where the first one ended."""
    training, source = tiny_training("gpt_rotary", model, accumulation=2)
    step = tf.function(training.train_step, jit_compile=jit_compile, autograph=False)
    for number in range(2):
        step({name: tf.constant(value) for name, value in source.batch(number).items()})
    return named_arrays(training.model.variables)


@pytest.mark.parametrize(
    ("jit_compile", "random"), [(False, RANDOM), (True, {}), (True, RANDOM)], ids=str
)
def test_training_is_the_same_with_recomputation(jit_compile, random):
    kept = trained(jit_compile, **random)
    again = trained(jit_compile, recompute=True, **random)
    assert set(kept) == set(again)
    assert any("seed_generator" in path for path in kept) == bool(random)
    for path, value in kept.items():
        np.testing.assert_allclose(again[path], value, rtol=1e-5, atol=1e-6, err_msg=path)


def test_whole_rows_are_left_out_at_the_rate_and_the_others_made_larger():
    layer = Dropout(0.25, name="x", shared_axes=(1, 2))
    x = np.random.default_rng(0).normal(size=(4000, 3, 2)).astype("float32")
    layer.build(x.shape)
    y = np.array(layer(x, training=True))
    kept = (y != 0).all(axis=(1, 2))
    assert not y[~kept].any()
    np.testing.assert_allclose(y[kept], x[kept] / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 4 * (0.25 * 0.75 / 4000) ** 0.5
    np.testing.assert_array_equal(np.array(layer(x, training=False)), x)


def test_deeper_blocks_are_left_out_more_often():
    config = GPTConfig(
        vocabulary_size=9, num_layers=4, num_heads=2, hidden_dim=8, stochastic_depth=0.4
    )
    rates = [block.stochastic_depth.rate for block in models.build(config).blocks]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])  # Huang et al. 2016, equation 4


def test_a_block_that_is_left_out_changes_nothing():
    config = GPTConfig(num_layers=1, num_heads=2, hidden_dim=8)
    block = TransformerBlock(config, name="b", stochastic_depth=0.9)
    x = np.random.default_rng(0).normal(size=(64, 5, 8)).astype("float32")
    block(x)
    for variable in block.trainable_variables:
        variable.assign(variable + 0.3)
    same = (np.array(block(x, training=True)[0]) == x).all(axis=(1, 2))
    # Both branches of a row are left out with 0.9^2 = 0.81.
    assert abs(same.mean() - 0.81) < 4 * (0.81 * 0.19 / 64) ** 0.5
    assert not (np.array(block(x, training=False)[0]) == x).all(axis=(1, 2)).any()
