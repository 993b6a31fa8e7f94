"""Seq2SeqTransformer against Keras' own layers put together after the paper.

Shapes: B batch, T target time, S source time, D hidden.
"""

import keras
import numpy as np
import pytest
from keras import ops

from tests import zoo
from tflm.layers.attention import Attention
from tflm.layers.sinusoids import sinusoids
from tflm.run import named_arrays

NAMES = ("transformer_shared", "transformer_separate")


def part(weights: dict, prefix: str) -> dict:
    prefix += "/"
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def dense(weights: dict, x):
    return x @ weights["kernel"] + weights["bias"]


def norm(weights: dict, x):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * weights["gamma"] + weights["beta"]


def keras_attention(weights: dict, num_heads: int, x, source, mask, causal: bool):
    """keras.layers.MultiHeadAttention with our weights; mask (B, S). Returns its output and its shares (B, H, T, S)."""
    width = x.shape[-1]
    head = width // num_heads
    layer = keras.layers.MultiHeadAttention(num_heads, head)
    layer.build(x.shape, source.shape)
    if "query_key_value/kernel" in weights:
        kernels = np.split(weights["query_key_value/kernel"], 3, axis=1)
        biases = np.split(weights["query_key_value/bias"], 3)
    else:
        kernels = [
            weights["query/kernel"],
            *np.split(weights["key_value/kernel"], 2, axis=1),
        ]
        biases = [weights["query/bias"], *np.split(weights["key_value/bias"], 2)]
    names = ("query", "key", "value")
    values = {
        name: (kernel.reshape(width, num_heads, head), bias.reshape(num_heads, head))
        for name, kernel, bias in zip(names, kernels, biases, strict=True)
    }
    values["attention_output"] = (
        weights["output_projection/kernel"].reshape(num_heads, head, width),
        weights["output_projection/bias"],
    )
    for variable in layer.variables:
        name, kind = variable.path.split("/")[-2:]
        variable.assign(values[name][kind == "bias"])
    output, shares = layer(
        x.astype("float32"),
        source.astype("float32"),
        attention_mask=mask[:, None, :],
        use_causal_mask=causal,
        return_attention_scores=True,
    )
    return np.array(output), np.array(shares)


def feed_forward(weights: dict, x, activation: str):
    x = dense(part(weights, "expand"), x)
    if activation == "relu":
        x = np.maximum(x, 0)
    else:
        x = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return dense(part(weights, "output_projection"), x)


def positions(config, weights: dict, side: str, time: int):
    """What is added to the scaled embeddings."""
    width = config.hidden_dim
    if config.positions == "learned":
        return weights[f"{side}position_embedding/embeddings"][:time] * width**0.5
    table = np.zeros((time, width))
    for t in range(time):
        for i in range(width // 2):  # section 3.5; all sines first
            table[t, i] = np.sin(t / 10000 ** (2 * i / width))
            table[t, width // 2 + i] = np.cos(t / 10000 ** (2 * i / width))
    return table


def second_implementation(config, weights, token_ids, source_ids):
    """Logits (B, T, V), and the last layer's shares of the source (B, H, T, S)."""
    heads = config.num_heads
    mask = source_ids != 0
    everything = np.ones(token_ids.shape, bool)

    shares = []

    def around(block, name, x, sublayer):
        """The residual connection around sublayer(its weights, x)."""
        inner, weights = part(block, name), part(block, f"{name}_norm")
        if config.norm_first:
            return x + sublayer(inner, norm(weights, x))
        return norm(weights, x + sublayer(inner, x))

    def to_itself_in_full(weights, x):
        return keras_attention(weights, heads, x, x, mask, causal=False)[0]

    def to_itself_so_far(weights, x):
        return keras_attention(weights, heads, x, x, everything, causal=True)[0]

    def to_the_source(weights, x):
        output, share = keras_attention(weights, heads, x, source, mask, causal=False)
        shares.append(share)
        return output

    def two_products(weights, x):
        return feed_forward(weights, x, config.activation)

    def last_norm(name, x):
        return norm(part(weights, name), x) if config.norm_first else x

    target_table = weights["token_embedding/embeddings"]
    source_table = weights.get("source_embedding/embeddings", target_table)
    scale = np.sqrt(config.hidden_dim)
    x = source_table[source_ids] * scale
    x = x + positions(config, weights, "source_", source_ids.shape[1])
    for i in range(config.num_encoder_layers or config.num_layers):
        block = part(weights, f"encoder_block_{i}")
        x = around(block, "attention", x, to_itself_in_full)
        x = around(block, "feed_forward", x, two_products)
    source = last_norm("encoder_norm", x)
    x = target_table[token_ids] * scale
    x = x + positions(config, weights, "", token_ids.shape[1])
    for i in range(config.num_layers):
        block = part(weights, f"decoder_block_{i}")
        x = around(block, "attention", x, to_itself_so_far)
        x = around(block, "source_attention", x, to_the_source)
        x = around(block, "feed_forward", x, two_products)
    x = last_norm("decoder_norm", x)
    output = weights["unembedding"] if config.share_embeddings == "none" else target_table
    return x @ output.T, shares[-1]


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_model_equals_keras_layers(name):
    model, config = zoo.build(name, seed=1), zoo.SEQ2SEQ_ZOO[name]
    token_ids = np.random.default_rng(2).integers(0, 260, (3, 6)).astype("int32")
    source_ids = zoo.source_ids((7, 3, 5))
    weights = {
        path.removeprefix("seq2seq_transformer/"): value
        for path, value in named_arrays(model.variables).items()
    }
    expected, shares = second_implementation(config, weights, token_ids, source_ids)
    assert expected.std() > 0.5
    np.testing.assert_allclose(np.array(model(token_ids, source_ids)), expected, atol=5e-5)
    np.testing.assert_allclose(
        np.array(model.source_attention(token_ids, source_ids)), shares.mean(axis=1), atol=2e-6
    )


def test_grouped_attention_to_a_source_equals_keras():
    heads, groups, width, hidden = 4, 2, 3, 12
    ours = Attention(hidden, heads, groups, None, 0.0, True, name="attention", of_source=True)
    ours.build((None, None, hidden))
    random = np.random.default_rng(0)
    for variable in ours.variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    theirs = keras.layers.GroupQueryAttention(width, heads, groups, use_bias=True)
    x = random.normal(size=(2, 7, hidden)).astype("float32")
    source = random.normal(size=(2, 5, hidden)).astype("float32")
    mask = np.array([[True] * 5, [True] * 2 + [False] * 3])
    theirs(x, source)
    keys = [np.split(np.array(v), 2, axis=-1) for v in ours.key_value.variables]
    values = {
        "query": [np.array(v) for v in ours.query.variables],
        "key": [kernel_or_bias[0] for kernel_or_bias in keys],
        "value": [kernel_or_bias[1] for kernel_or_bias in keys],
        "attention_output": [np.array(v) for v in ours.output_projection.variables],
    }
    for variable in theirs.variables:
        layer, kind = variable.path.split("/")[-2:]
        variable.assign(values[layer][kind == "bias"].reshape(variable.shape))
    expected, shares = theirs(
        x, source, attention_mask=mask[:, None, :], return_attention_scores=True
    )
    output, _, weights = ours(x, cache=ours.read(source), visible=mask)
    np.testing.assert_allclose(np.array(output), np.array(expected), atol=1e-5)
    np.testing.assert_allclose(np.array(weights), np.array(shares), atol=1e-6)


def test_sinusoids_of_the_paper():
    """Section 3.5 as it is printed, pos 3 of width 8, columns 2 i and 2 i + 1."""
    printed = []
    for i in range(4):
        printed += [np.sin(3 / 10000 ** (2 * i / 8)), np.cos(3 / 10000 ** (2 * i / 8))]
    row = np.array(sinusoids(ops.convert_to_tensor(np.array([3], "int32")), 8))[0]
    np.testing.assert_allclose(row, printed[::2] + printed[1::2], atol=1e-6)
