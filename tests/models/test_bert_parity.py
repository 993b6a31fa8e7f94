"""BERT beside KerasHub's, which nobody here wrote, with the same random weights."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from tflm import models
from tflm.models.bert import BERTConfig
from tflm.run import assign_arrays, named_arrays

CONFIG = BERTConfig(
    vocabulary_size=90,
    num_layers=2,
    num_heads=4,
    hidden_dim=32,
    intermediate_dim=48,
    max_sequence_length=16,
)
BATCH, TIME = 3, 11


def random_weights(model, seed=1) -> dict[str, np.ndarray]:
    """Larger than the initial ones, so that nothing is lost among zeros and ones."""
    random = np.random.default_rng(seed)
    arrays = named_arrays(model.variables)
    return {
        path: random.normal(0, 0.3, value.shape).astype("float32") + path.endswith("gamma")
        if value.dtype == np.float32
        else value
        for path, value in arrays.items()
    }


@pytest.fixture(scope="module")
def model():
    built = models.build(CONFIG)
    assign_arrays(built.variables, random_weights(built), "random")
    return built


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(0)
    mask = np.arange(TIME)[None, :] < np.array([[11], [7], [3]])
    return {
        "token_ids": random.integers(0, 90, (BATCH, TIME)).astype("int32"),
        "segment_ids": (np.arange(TIME)[None, :] >= np.array([[5], [4], [2]])).astype("int32"),
        "padding_mask": mask,
    }


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


def keras_hub_bert(weights: dict[str, np.ndarray]):
    """KerasHub's masked BERT with our weights."""
    from keras_hub.models import BertBackbone, BertMaskedLM

    backbone = BertBackbone(
        vocabulary_size=CONFIG.vocabulary_size,
        num_layers=CONFIG.num_layers,
        num_heads=CONFIG.num_heads,
        hidden_dim=CONFIG.hidden_dim,
        intermediate_dim=CONFIG.intermediate_dim,
        max_sequence_length=CONFIG.max_sequence_length,
        num_segments=2,
    )
    of = {path.removeprefix("bert/"): value for path, value in weights.items()}

    def norm(layer, name):
        layer.set_weights([of[f"{name}/gamma"], of[f"{name}/beta"]])

    def dense(layer, name, shape=None):
        kernel = of[f"{name}/kernel"]
        layer.set_weights([kernel if shape is None else kernel.reshape(shape), of[f"{name}/bias"]])

    for theirs, ours in (("token", "token"), ("segment", "segment")):
        layer = backbone.get_layer(f"{theirs}_embedding")
        layer.embeddings.assign(of[f"{ours}_embedding/embeddings"])
    backbone.get_layer("position_embedding").set_weights([of["position_embedding/embeddings"]])
    norm(backbone.get_layer("embeddings_layer_norm"), "embedding_norm")
    width, heads = CONFIG.hidden_dim, CONFIG.num_heads
    for i in range(CONFIG.num_layers):
        layer, name = backbone.get_layer(f"transformer_layer_{i}"), f"block_{i}"
        attention = layer._self_attention_layer
        kernels = np.split(of[f"{name}/attention/query_key_value/kernel"], 3, axis=1)
        biases = np.split(of[f"{name}/attention/query_key_value/bias"], 3)
        parts = (attention._query_dense, attention._key_dense, attention._value_dense)
        for part, kernel, bias in zip(parts, kernels, biases, strict=True):
            part.set_weights([kernel.reshape(width, heads, -1), bias.reshape(heads, -1)])
        output = f"{name}/attention/output_projection"
        dense(attention._output_dense, output, (heads, width // heads, width))
        norm(layer._self_attention_layer_norm, f"{name}/attention_norm")
        dense(layer._feedforward_intermediate_dense, f"{name}/feed_forward/expand")
        dense(layer._feedforward_output_dense, f"{name}/feed_forward/output_projection")
        norm(layer._feedforward_layer_norm, f"{name}/feed_forward_norm")
    dense(backbone.get_layer("pooled_dense"), "pooler")
    masked = BertMaskedLM(backbone=backbone, preprocessor=None)
    head = masked.get_layer("mlm_head")
    dense(head._intermediate_dense, "prediction")
    norm(head._intermediate_layer_norm, "prediction_norm")
    head._bias.assign(of["output_bias"])
    return backbone, masked


def test_it_computes_what_keras_hubs_does(model, inputs):
    backbone, masked = keras_hub_bert(named_arrays(model.variables))
    theirs = {**inputs, "padding_mask": inputs["padding_mask"].astype("int32")}
    expected = backbone(theirs)
    found = model(**inputs)
    is_token = inputs["padding_mask"]
    np.testing.assert_allclose(
        numbers(found["sequence"])[is_token],
        numbers(expected["sequence_output"])[is_token],
        atol=2e-5,
    )
    np.testing.assert_allclose(
        numbers(found["pooled"]), numbers(expected["pooled_output"]), atol=2e-5
    )
    positions = np.array([[1, 9], [0, 6], [2, 1]], "int32")
    expected = masked({**theirs, "mask_positions": positions})
    hidden = np.take_along_axis(numbers(found["sequence"]), positions[..., None], axis=1)
    logits = model.logits(model.predictions(hidden))
    # KerasHub's head has the exact GELU where its encoder has the tanh form.
    np.testing.assert_allclose(numbers(logits), numbers(expected), atol=2e-3)


@pytest.mark.parametrize(
    "changes",
    [{}, {"norm_first": True, "positions": "rotary", "normalization": "rms_norm"}],
)
def test_padding_changes_nothing_and_every_token_something(changes, inputs):
    built = models.build(dataclasses.replace(CONFIG, **changes))
    assign_arrays(built.variables, random_weights(built), "random")
    whole = numbers(built(**inputs)["sequence"])
    other = dict(inputs, token_ids=inputs["token_ids"].copy())
    other["token_ids"][1, 7:] = 5
    np.testing.assert_allclose(numbers(built(**other)["sequence"])[1, :7], whole[1, :7], atol=1e-5)
    alone = {name: value[1:2, :7] for name, value in inputs.items()}
    np.testing.assert_allclose(numbers(built(**alone)["sequence"]), whole[1:2, :7], atol=1e-5)
    other["token_ids"][0, 10] = (other["token_ids"][0, 10] + 1) % 90
    moved = np.abs(numbers(built(**other)["sequence"])[0] - whole[0]).max(axis=-1)
    assert (moved > 1e-4).all(), "a token sees those behind it, too"


def test_segments_are_told_apart(model, inputs):
    whole = numbers(model(**inputs)["sequence"])
    alike = numbers(
        model(**{**inputs, "segment_ids": np.zeros((BATCH, TIME), "int32")})["sequence"]
    )
    assert np.abs(whole - alike).max() > 1e-2
