"""The count of operations, held against the products that stand in the graph of a training step, and by hand."""

import math

import pytest
import tensorflow as tf

from tests import zoo
from tflm import models
from tflm.models.fasttext import FastTextConfig
from tflm.models.flops import training_flops_per_token
from tflm.models.gpt import GPTConfig
from tflm.models.rnn import RNNConfig
from tflm.models.sequence_to_sequence import SequenceToSequence

BATCH = 4
# Operation -> the attribute that says whether the first factor is transposed. (tf.profiler's own count takes MatMul's
# for all of them, and is wrong for attention's.)
PRODUCTS = {"MatMul": "transpose_a", "BatchMatMulV2": "adj_x", "BatchMatMulV3": "adj_x"}


def products_in_a_step(config, time: int) -> int:
    """2 m k n of all matrix products in the graph of a gradient, from the shapes that stand there."""
    model = models.build(config)
    token_ids = tf.zeros((BATCH, time), tf.int32)
    sides = [token_ids, token_ids] if isinstance(model, SequenceToSequence) else [token_ids]
    carried = model.initial_state(BATCH) if model.carries_state else {}

    @tf.function(autograph=False)
    def gradient():
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            if not carried:
                logits = model(*sides)
            else:
                tape.watch(carried)  # as the state of every step but the first is differentiated
                logits, _ = model.step(token_ids, carried, 0)
            loss = tf.reduce_sum(tf.nn.log_softmax(logits)[..., 0])
        return tape.gradient(loss, [variables, carried])

    total = 0
    for operation in gradient.get_concrete_function().graph.get_operations():
        if operation.type in PRODUCTS:
            is_transposed = operation.get_attr(PRODUCTS[operation.type])
            inner = operation.inputs[0].shape[-2 if is_transposed else -1]
            total += 2 * inner * math.prod(operation.outputs[0].shape)
    return total


CONFIGS = zoo.ZOO | {
    "awd_lstm": RNNConfig(
        vocabulary_size=zoo.VOCABULARY_SIZE,
        num_layers=3,
        hidden_dim=24,
        last_hidden_dim=10,
        embedding_dim=10,
    )
}


@pytest.mark.parametrize(
    ("name", "time"),
    # A recurrent model's graph has its loop's body once, so it reads one token, which is done without a loop.
    [
        ("gpt_rotary", 8),
        ("gpt_learned", 12),
        ("lstm", 1),
        ("gru", 1),
        ("awd_lstm", 1),
        ("word2vec", 8),
    ],
)
def test_the_count_is_that_of_the_graph(name, time):
    counted = products_in_a_step(CONFIGS[name], time) / (BATCH * time)
    assert training_flops_per_token(CONFIGS[name], time) == counted


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")  # of one token
@pytest.mark.parametrize("name", zoo.SEQ2SEQ_ZOO)
def test_the_count_of_an_encoder_decoder_is_that_of_the_graph(name):
    """The mean over both sides."""
    config = zoo.SEQ2SEQ_ZOO[name]
    time = 1 if "lstm" in name else 8
    counted = products_in_a_step(config, time)
    if "lstm" in name:
        # What is 0 at the beginning has no gradient: the state of both directions, and what is fed.
        half, layers = config.hidden_dim // 2, config.num_encoder_layers or config.num_layers
        counted += BATCH * layers * 2 * (2 * half * 4 * half)
        if config.input_feeding:
            counted += BATCH * 2 * config.embedding_dim * 4 * config.hidden_dim
    assert training_flops_per_token(config, time) == counted / (2 * BATCH * time)


def test_gpt2_small_by_hand():
    """12 layers of 12 D^2 weights and the output: 6 (85.0 M + 38.6 M) + 12 L D T."""
    config = GPTConfig(
        vocabulary_size=50_257, num_layers=12, num_heads=12, hidden_dim=768, intermediate_dim=3072
    )
    by_hand = 6 * (12 * 12 * 768**2 + 768 * 50_257) + 12 * 12 * 768 * 1024
    assert by_hand == 854_438_400
    assert training_flops_per_token(config, 1024) == by_hand


def test_tables_whose_rows_are_updated_have_no_count():
    assert training_flops_per_token(FastTextConfig(vocabulary_size=100), 8) is None
