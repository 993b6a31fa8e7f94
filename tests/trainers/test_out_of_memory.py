"""A lack of memory, injected: the training ends as one that began with the accumulation that fits."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_experiments import tiny_experiment
from tests.trainers.test_training_resume import assert_same
from tflm.data.windows import ShuffledWindows
from tflm.errors import UserError
from tflm.run import RunFolder
from trainers import fit, out_of_memory
from trainers.callbacks import StepLog
from trainers.objectives.skip_gram import SkipGramConfig
from trainers.train_step import TensorFlowTrainingModel

# All that has a state: dropout, a carried state, a moving average, momentum. Two checkpoints before the end.
SETTINGS = {"ema": 0.8, "steps": 4, "eval_every": 2, "keep_checkpoints": 9, "batch_size": 8}
DROPOUT = {"dropout": 0.3, "num_layers": 1}


@pytest.fixture
def device(monkeypatch):
    """A device that `rows` rows fit on; what does not raises TensorFlow's own error."""
    limit = {"rows": 1 << 30}
    step = TensorFlowTrainingModel.train_step

    def train_step(self, data):
        if self.micro_batch_size > limit["rows"]:
            raise tf.errors.ResourceExhaustedError(
                None, None, "OOM when allocating tensor with shape[8,16,260] and type float"
            )
        return step(self, data)

    monkeypatch.setattr(TensorFlowTrainingModel, "train_step", train_step)
    return limit


def train(run_dir, name, corpus, model=None, **settings):
    return fit.train(tiny_experiment(name, corpus, model, **(SETTINGS | settings)), run_dir)


def accumulation(run_dir) -> int:
    return json.loads((run_dir / "experiment.json").read_text())["train"]["accumulation"]


def test_the_run_is_that_of_the_accumulation_that_fits(device, corpus, tmp_path, capsys):
    train(tmp_path / "began_with_2", "gpt_rotary", corpus, DROPOUT, accumulation=2)
    device["rows"] = 4
    train(tmp_path / "found_2", "gpt_rotary", corpus, DROPOUT)
    assert (
        "Out of memory after step 0, with 8 rows at once. From the beginning, with 4 rows at once and "
        "train.accumulation=2: the batches stay those of 8 rows." in capsys.readouterr().err
    )
    assert accumulation(tmp_path / "found_2") == 2
    assert_same(tmp_path / "began_with_2", tmp_path / "found_2")


class Accident:
    """Raises an error once, when something is called for the n-th time."""

    def __init__(self, monkeypatch, owner, name, count, error, after=False):
        before = getattr(owner, name)
        calls = []

        def method(*args, **kwargs):
            result = before(*args, **kwargs) if after else None
            calls.append(1)
            if len(calls) == count:
                raise error
            return result if after else before(*args, **kwargs)

        monkeypatch.setattr(owner, name, method)


def test_after_some_steps_it_goes_back_to_the_checkpoint(corpus, tmp_path, capsys, monkeypatch):
    """Step 3 has changed the weights when the error comes. The twin is stopped at step 2 and resumed with 2 parts."""
    twin = RunFolder(tmp_path / "twin")
    train(twin.path, "lstm", corpus, DROPOUT)
    (twin.checkpoints / "step_00000004" / "model.safetensors").write_bytes(b"")
    train(twin.path, "lstm", corpus, DROPOUT, accumulation=2)

    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
    Accident(monkeypatch, StepLog, "on_train_batch_end", 3, error, after=True)
    train(tmp_path / "accident", "lstm", corpus, DROPOUT)
    assert (
        "Out of memory after step 3, with 8 rows at once. Back to the checkpoint of step 2, with 4 rows at once"
        in capsys.readouterr().err
    )
    assert_same(twin.path, tmp_path / "accident")


def test_no_memory_for_a_batch_is_the_same_trouble(corpus, tmp_path, capsys, monkeypatch):
    """Python's error, raised where batches are made, arrives as TensorFlow's."""
    Accident(monkeypatch, ShuffledWindows, "batch", 3, MemoryError())
    result = train(tmp_path / "run", "word2vec", corpus)
    assert result.progress.step == 4
    assert "Out of memory after step" in capsys.readouterr().err
    assert accumulation(tmp_path / "run") == 2


def test_a_resumed_run_begins_with_what_fitted(device, corpus, tmp_path, capsys):
    device["rows"] = 2
    train(tmp_path / "run", "word2vec", corpus, steps=2)
    assert capsys.readouterr().err.count("Out of memory after step 0") == 2
    device["rows"] = 1 << 30  # were it asked for 8 rows at once, it would take them
    train(tmp_path / "run", "word2vec", corpus, steps=4)
    assert "train.accumulation is 4, which fitted into the memory." in capsys.readouterr().out
    assert accumulation(tmp_path / "run") == 4


def test_one_row_that_does_not_fit_ends_in_one_line(device, corpus, tmp_path):
    device["rows"] = 0
    with pytest.raises(UserError) as error:
        train(tmp_path / "run", "word2vec", corpus)
    assert str(error.value) == (
        "Out of memory after step 0, with a single row of 16 tokens at a time. Lower "
        "--config.train.sequence_length, or take a smaller model or a machine with more memory."
    )


def test_an_objective_that_cannot_divide_its_batch_says_so():
    experiment = tiny_experiment("word2vec", "x", batch_size=16)
    experiment.objective = SkipGramConfig()
    message = (
        "after step 7, with batches of 16 that this objective cannot divide. Lower --config.tr"
    )
    with pytest.raises(UserError, match=message):
        out_of_memory.halve(experiment, 7, 0)


@pytest.mark.parametrize(
    ("batch_size", "accumulation", "expected"),
    [(8, 1, 2), (8, 4, 8), (8, 8, None), (6, 2, 6), (12, 3, 6), (12, 2, 4), (10, 1, 2), (7, 1, 7)],
)
def test_micro_batches_are_halved_or_the_next_that_divide(batch_size, accumulation, expected):
    assert out_of_memory.next_accumulation(batch_size, accumulation) == expected


def test_rows_keep_what_they_carry():
    rows = np.arange(24.0).reshape(12, 2)
    arrays = {f"training/carry_{i}_cell_0": rows[6 * i : 6 * i + 6] for i in range(2)}
    arrays["adamw/gpt_carry_kernel"] = np.ones(3)
    cut = out_of_memory.recut(arrays, 4)
    assert sorted(cut) == ["adamw/gpt_carry_kernel"] + [
        f"training/carry_{i}_cell_0" for i in range(4)
    ]
    for i in range(4):
        np.testing.assert_array_equal(cut[f"training/carry_{i}_cell_0"], rows[3 * i : 3 * i + 3])
    together = out_of_memory.recut(cut, 1)
    np.testing.assert_array_equal(together["training/carry_0_cell_0"], rows)


class XlaRuntimeError(RuntimeError):
    """JAX's error by its name, so that it can be told without JAX."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError("Unable to allocate 3 GiB"), True),
        (XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1234 bytes."), True),
        (XlaRuntimeError("INTERNAL: ptxas failed"), False),
        (tf.errors.InternalError(None, None, "Failed to allocate request for 2GiB"), True),
        (tf.errors.ResourceExhaustedError(None, None, "x; No space left on device"), False),
        (ValueError("out of memory"), False),
        (UserError("out of memory"), False),
    ],
)
def test_what_counts_as_a_lack_of_memory(error, expected):
    assert out_of_memory.is_out_of_memory(error) is expected
