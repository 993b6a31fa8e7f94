"""Lion and Muon: their formulas in numpy, that they learn, and that they go on exactly where they stopped."""

import numpy as np
import pytest

from tests.tiny_training import tiny_training, train_step, weights
from tflm.run import named_arrays
from trainers.callbacks import Progress, TrainingState

RATES = {"lion": 1e-2, "muon": 3e-2}
MATRIX = "gpt/block_0/feed_forward/expand/kernel"
TABLE = "gpt/token_embedding/embeddings"


def first_step(optimizer: str, **train) -> tuple[dict, dict, dict]:
    """Weights before and after one step without clipping, and the gradient (by plain descent at a rate of 1)."""
    settings = {"clip_norm": 0.0, "weight_decay": 0.3, "learning_rate": 0.01} | train
    training, source = tiny_training("gpt_rotary", optimizer=optimizer, **settings)
    before = weights(training)
    train_step(training, source.batch(0))
    plain = {"clip_norm": 0.0, "weight_decay": 0.0, "learning_rate": 1.0}
    shadow, _ = tiny_training("gpt_rotary", optimizer="sgd", **plain)
    train_step(shadow, source.batch(0))
    gradient = {path: before[path] - value for path, value in weights(shadow).items()}
    return before, weights(training), gradient


def test_lion_steps_by_the_sign():
    """Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", program 1, from a momentum of zeros."""
    before, after, gradient = first_step("lion")
    w, g = before[MATRIX], gradient[MATRIX]
    clear = np.abs(g) > 1e-6  # the gradient is known to the rounding of a weight
    assert clear.mean() > 0.9
    expected = w - 0.01 * 0.3 * w - 0.01 * np.sign(g)
    np.testing.assert_allclose(after[MATRIX][clear], expected[clear], atol=1e-6)


def orthogonal(x: np.ndarray) -> np.ndarray:
    """Five iterations of the quintic of Jordan et al. 2024, whose singular values end near 1."""
    x = x / np.linalg.norm(x)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


def test_muon_orthogonalizes_the_step_of_a_hidden_matrix():
    before, after, gradient = first_step("muon")
    w, g = before[MATRIX].astype("float64"), gradient[MATRIX].astype("float64")
    assert g.shape[0] < g.shape[1]
    # Nesterov's momentum of 0.95 after one gradient is (1 + 0.95) g, and a factor is lost in the normalisation.
    step = 0.2 * max(g.shape) ** 0.5 * orthogonal(g)  # Liu et al. 2025, equation 4
    expected = w - 0.01 * 0.3 * w - 0.01 * step
    np.testing.assert_allclose(
        after[MATRIX], expected, atol=2e-4 * np.abs(0.01 * step).max() + 1e-5
    )


def test_muon_leaves_the_embedding_and_vectors_to_adamw():
    before, after, gradient = first_step("muon")
    w, g = before[TABLE], gradient[TABLE]
    seen = np.abs(g) > 1e-5
    assert seen.mean() > 0.05
    # Adam's first step is the sign of the gradient but for epsilon, times the rate; the decay acts on matrices.
    step = g / (np.abs(g) + 1e-7 / (1 - 0.95) ** 0.5)
    expected = w - 0.01 * 0.3 * w - 0.01 * step
    np.testing.assert_allclose(after[TABLE][seen], expected[seen], atol=1e-4)
    norm = "gpt/final_norm/scale"
    change = np.abs(after[norm] - before[norm])
    assert change.max() < 0.0101


@pytest.mark.parametrize("name", ["lstm", "gpt_rotary"])
@pytest.mark.parametrize("optimizer", RATES)
def test_training_lowers_the_loss(optimizer, name):
    training, source = tiny_training(name, optimizer=optimizer, learning_rate=RATES[optimizer])
    losses = [train_step(training, source.batch(step))["loss"] for step in range(8)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] - 0.3


@pytest.mark.parametrize("name", ["lstm", "gpt_learned"])
@pytest.mark.parametrize("optimizer", RATES)
def test_a_resume_is_exact(optimizer, name):
    """Four steps, and two steps, a checkpoint, another process' model and two more: bit for bit."""
    settings = {"optimizer": optimizer, "ema": 0.5, "accumulation": 2, "precision": "mixed_float16"}
    straight, source = tiny_training(name, {"dropout": 0.2}, **settings)
    for step in range(2):
        train_step(straight, source.batch(step))
    checkpoint = TrainingState(straight, Progress(step=2)).to_checkpoint({})
    other, _ = tiny_training(name, {"dropout": 0.2}, seed=9, **settings)
    TrainingState(other, Progress()).restore(checkpoint, "x")
    for step in (2, 3):
        losses = [train_step(t, source.batch(step))["loss"] for t in (straight, other)]
        assert losses[0] == losses[1]
    for one, two in zip(everything(straight).items(), everything(other).items(), strict=True):
        assert one[0] == two[0]
        assert one[1].tobytes() == two[1].tobytes(), one[0]


def everything(training) -> dict[str, np.ndarray]:
    variables = [*training.model.variables, *training.optimizer.variables, *training.own_variables]
    return named_arrays(variables)
