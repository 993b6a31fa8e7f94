"""What of an encoder moves, and how far: LoRA, frozen parts, rates by layer, layers that join in later."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from tests.trainers.test_classify import BERT, labelled_split
from tflm import models
from tflm.errors import UserError
from tflm.layers.lora import merged_lora
from tflm.models.classifier import ClassifierConfig
from tflm.models.gpt import GPTConfig
from trainers import experiment as experiments
from trainers import layer_rates, objectives, optimizers
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig
from trainers.objectives.classify import ClassifyConfig
from trainers.train_step import TensorFlowTrainingModel

ENCODER = dataclasses.replace(BERT, num_layers=2)


class FakeTokenizer:
    pad_id, eos_id = 0, 3


def training(lora_rank=0, frozen="", layer_decay=1.0, unfreeze_every=0):
    """A TrainingModel that is updated by plain gradients, and one batch."""
    train = TrainConfig(
        batch_size=8,
        sequence_length=24,
        optimizer="sgd",
        learning_rate=0.1,
        warmup_steps=0,
        schedule="constant",
        weight_decay=0.0,
        clip_norm=0.0,
    )
    config = ClassifierConfig(ENCODER, num_labels=3, dropout=0.0, lora_rank=lora_rank)
    model = models.build(config)
    layer_rates.freeze(model, frozen)
    objective = objectives.build(ClassifyConfig(labels=("a", "b", "c")))
    objective.read_tokenizers(FakeTokenizer(), FakeTokenizer())
    built = TensorFlowTrainingModel(model, objective, 8, 1)
    optimizer = optimizers.build(train, model.trainable_variables, "float32")
    layer_rates.apply_layer_rates(optimizer, model, layer_decay, unfreeze_every)
    built.compile(optimizer=optimizer, jit_compile=False, auto_scale_loss=False)
    batch = objective.batches(labelled_split(), model, train).batch(0)
    return built, {name: ops.convert_to_tensor(value) for name, value in batch.items()}


def weights(built) -> dict[str, np.ndarray]:
    return weights_of(built.model)


def weights_of(model) -> dict[str, np.ndarray]:
    variables = model.variables
    return {v.path: np.array(v.numpy()) for v in variables if "seed_generator" not in v.path}


def changes(built, batch) -> dict[str, np.ndarray]:
    before = weights(built)
    built.train_step(batch)
    return {path: value - before[path] for path, value in weights(built).items()}


def moved(built, batch) -> set[str]:
    return {path for path, change in changes(built, batch).items() if np.abs(change).max() > 0}


def test_lora_moves_little_and_begins_as_the_model_was():
    plain, batch = training()
    adapted, _ = training(lora_rank=2)
    token_ids = batch["token_ids"]
    np.testing.assert_array_equal(adapted.model(token_ids), plain.model(token_ids))
    names = {path.rsplit("/", 1)[-1] for path in moved(adapted, batch) if "/bert/" in path}
    assert names == {"lora_kernel_b"}  # A has no gradient while B is zero
    names = {path.rsplit("/", 1)[-1] for path in moved(adapted, batch) if "/bert/" in path}
    assert names == {"lora_kernel_a", "lora_kernel_b"}
    count = sum(np.prod(v.shape) for v in adapted.model.encoder.trainable_variables)
    assert count < 0.25 * plain.model.encoder.count_params()


def test_merged_weights_say_the_same():
    built, batch = training(lora_rank=2)
    for _ in range(3):
        built.train_step(batch)
    before = np.array(built.model(batch["token_ids"]))
    plain = models.build(ClassifierConfig(ENCODER, num_labels=3, dropout=0.0))
    merged = merged_lora(weights(built))
    assert merged.keys() == weights_of(plain).keys()
    for variable in plain.variables:
        if "seed_generator" not in variable.path:
            variable.assign(merged[variable.path])
    np.testing.assert_allclose(plain(batch["token_ids"]), before, atol=1e-5)


def test_a_rank_that_no_layer_has():
    with pytest.raises(UserError, match="LoRA of rank 64 needs linear layers that are wider"):
        training(lora_rank=64)


def test_frozen_parts_stay():
    assert not any("/bert/" in path for path in moved(*training(frozen="encoder")))
    paths = moved(*training(frozen="embeddings"))
    assert paths and not any("embedding" in path for path in paths)
    assert any("/block_0/" in path for path in paths)


def test_the_lower_a_layer_the_slower():
    plain, slower = changes(*training()), changes(*training(layer_decay=0.5))
    below = {"output_layer": 0, "pooler": 1, "block_1": 1, "block_0": 2, "embedding": 3}
    seen = set()
    for path, change in plain.items():
        if np.abs(change).max() == 0:
            continue
        part = next(name for name in below if name in path)
        np.testing.assert_allclose(slower[path], change * 0.5 ** below[part], rtol=1e-2, atol=2e-7)
        seen.add(part)
    assert seen == set(below)


def test_layers_join_in_from_the_top():
    built, batch = training(unfreeze_every=1)
    expected = ["output_layer", "block_1", "block_0", "token_embedding"]
    for step, newest in enumerate(expected):
        paths = moved(built, batch)
        for other in expected[: step + 1]:
            assert any(other in path for path in paths), (step, other)
        for other in expected[step + 1 :]:
            assert not any(other in path for path in paths), (step, other)
        assert newest in " ".join(paths)


def test_they_are_for_models_that_stand_on_an_encoder():
    experiment = Experiment(GPTConfig(), CausalConfig(), train=TrainConfig(layer_decay=0.9))
    with pytest.raises(UserError, match="train.layer_decay is for a model that stands on an enc"):
        experiments.check(experiment)
    experiment.train.layer_decay, experiment.train.frozen = 1.0, "half"
    with pytest.raises(UserError, match="train.frozen"):
        experiments.check(experiment)
