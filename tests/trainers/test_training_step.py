"""One update of the weights, for every family: it learns, and micro-batches change nothing.

The steps run eagerly: what is compiled is the same function, and compiling takes longer.
"""

import numpy as np
import pytest
from keras import ops

from tests import zoo
from tests.tiny_training import tiny_training, train_step, weights
from tflm.run import named_arrays


@pytest.mark.parametrize("name", zoo.ZOO)
def test_training_lowers_the_loss(name):
    training, source = tiny_training(name, learning_rate=3e-2)
    losses = [train_step(training, source.batch(step))["loss"] for step in range(8)]
    assert losses[0] == pytest.approx(np.log(zoo.VOCABULARY_SIZE), rel=0.05)
    assert losses[-1] < losses[0] - 0.3
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", zoo.ZOO)
def test_every_weight_is_trained(name):
    training, source = tiny_training(name, optimizer="sgd", weight_decay=0.0, learning_rate=1.0)
    zoo.spread(training.model)
    before = weights(training)
    for step in range(2):
        train_step(training, source.batch(step))
    after = weights(training)
    assert [path for path in before if (before[path] == after[path]).all()] == []


def updates(name: str, accumulation: int, batches) -> tuple[dict, dict]:
    """The change of every weight by plain gradient descent, and the last logs."""
    training, _ = tiny_training(
        name,
        accumulation=accumulation,
        batch_size=8,
        optimizer="sgd",
        weight_decay=0.0,
        clip_norm=0.0,
        learning_rate=0.5,
    )
    zoo.spread(training.model)
    before = weights(training)
    for batch in batches:
        logs = train_step(training, batch)
    after = weights(training)
    return {path: after[path] - before[path] for path in before}, logs


def uneven(batch: dict) -> dict:
    """The batch with rows that count little or nothing, so that micro-batches weigh differently."""
    weights = batch["weights"] * np.array([1, 0, 0, 0.2, 3, 1, 0, 1], "float32")[:, None]
    weights[4, 3:] = 0
    return batch | {"weights": (weights / weights.sum()).astype("float32")}


@pytest.mark.parametrize(
    ("name", "accumulation"), [*((name, 4) for name in zoo.ZOO), ("gpt_rotary", 8)]
)
def test_micro_batches_add_up_to_one_batch(name, accumulation):
    _, source = tiny_training(name, batch_size=8)
    batches = [uneven(source.batch(0)), source.batch(1)]  # two: a carried state counts as well
    whole, logs = updates(name, 1, batches)
    parts, part_logs = updates(name, accumulation, batches)
    assert part_logs["loss"] == pytest.approx(logs["loss"], rel=1e-5)
    assert part_logs["grad_norm"] == pytest.approx(logs["grad_norm"], rel=1e-4)
    for path, change in whole.items():
        scale = np.abs(change).max()
        assert scale > 0
        np.testing.assert_allclose(parts[path], change, atol=2e-5 * scale, err_msg=path)


def test_rows_without_weight_change_nothing():
    training, source = tiny_training("gpt_rotary", batch_size=8)
    batch = uneven(source.batch(0))
    other = batch | {"labels": batch["labels"].copy(), "token_ids": batch["token_ids"].copy()}
    other["labels"][1] = 7
    other["token_ids"][1] = 9
    one, _ = updates("gpt_rotary", 2, [batch])
    two, _ = updates("gpt_rotary", 2, [other])
    for path, change in one.items():
        np.testing.assert_allclose(two[path], change, atol=1e-6, err_msg=path)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", ["word2vec", "lstm", "gru", "gpt_rotary"])
def test_half_precision_trains_nearly_alike(name, precision):
    losses = {}
    for policy in ("float32", precision):
        training, source = tiny_training(name, precision=policy, learning_rate=1e-2)
        losses[policy] = [train_step(training, source.batch(step))["loss"] for step in range(4)]
        assert all(np.isfinite(v).all() for v in named_arrays(training.model.variables).values())
    np.testing.assert_allclose(losses[precision], losses["float32"], rtol=0.02)
    assert losses[precision][-1] < losses[precision][0]


def test_a_step_that_overflows_float16_is_skipped_and_the_scale_lowered():
    training, source = tiny_training("gpt_rotary", precision="mixed_float16", accumulation=2)
    optimizer = training.optimizer
    optimizer.dynamic_scale.assign(2.0**30)
    before = weights(training)
    train_step(training, source.batch(0))
    after = weights(training)
    assert all((before[path] == after[path]).all() for path in before)
    assert float(ops.convert_to_numpy(optimizer.dynamic_scale)) == 2.0**29
    assert int(optimizer.iterations) == 0


def test_the_gradient_norm_is_that_of_the_unscaled_gradients():
    norms = []
    for precision in ("float32", "mixed_float16"):
        training, source = tiny_training("gpt_rotary", precision=precision, clip_norm=1e-9)
        norms.append(train_step(training, source.batch(0))["grad_norm"])
    assert norms[0] > 0.01
    assert norms[1] == pytest.approx(norms[0], rel=0.02)


def test_the_state_of_a_recurrent_model_is_carried_from_batch_to_batch():
    training, source = tiny_training("lstm", optimizer="sgd", learning_rate=1e-9)
    zoo.spread(training.model)
    model = training.model
    first, second = source.batch(0), source.batch(1)
    assert first["reset"].all() and not second["reset"].any()
    train_step(training, first)
    _, state = model.step(first["token_ids"], model.initial_state(4), 0)
    for name, value in state.items():
        np.testing.assert_allclose(
            ops.convert_to_numpy(training.carries[0][name].value), value, atol=1e-6
        )
    logged = train_step(training, second)["loss"]
    logits, _ = model.step(second["token_ids"], state, 0)
    logits = np.array(logits, "float64")
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(log_p, second["labels"][..., None], -1)[..., 0]
    assert logged == pytest.approx(-(chosen * second["weights"]).sum(), rel=1e-5)
    # A reset starts again from nothing.
    again = train_step(training, first)["loss"]
    assert again == pytest.approx(train_step(training, first)["loss"], abs=1e-6)
