"""The mean of checkpoints against a calculation by hand."""

import numpy as np
import pytest

from tflm.checkpoint_mean import mean_of_last
from tflm.errors import UserError
from tflm.run import Checkpoint, RunFolder


@pytest.fixture
def folder(tmp_path):
    """Steps 1, 2, 3 and 7; a weight is its step, and 10 times its step."""
    folder = RunFolder(tmp_path / "run")
    folder.create()
    for step in (1, 2, 3, 7):
        model = {
            "m/kernel": np.array([step, 10 * step], "float32"),
            "m/seed_generator_state": np.array([step, 2**32 - step], "uint32"),
        }
        folder.save(Checkpoint(step, model, {}, {"metrics": {"x": step}}), step == 1, keep=9)
    return folder


def test_it_is_the_mean_and_the_rest_is_the_newest(folder):
    mean = mean_of_last(folder, 3)
    np.testing.assert_array_equal(mean.model["m/kernel"], np.array([4, 40], "float32"))
    assert mean.model["m/kernel"].dtype == np.float32
    np.testing.assert_array_equal(mean.model["m/seed_generator_state"], [7, 2**32 - 7])
    assert (mean.step, mean.state["metrics"]) == (7, {"x": 7})


def test_of_one_it_is_that_one(folder):
    np.testing.assert_array_equal(mean_of_last(folder, 1).model["m/kernel"], [7, 70])


def test_up_to_a_step(folder):
    np.testing.assert_array_equal(mean_of_last(folder, 2, step=2).model["m/kernel"], [1.5, 15])


def test_errors(folder):
    with pytest.raises(
        UserError, match="has 4 checkpoints, too few to average 5.*keep_checkpoints"
    ):
        mean_of_last(folder, 5)
    with pytest.raises(UserError, match="has 2 checkpoints up to step 2, too few to average 3"):
        mean_of_last(folder, 3, step=2)
    with pytest.raises(UserError, match="no checkpoint of step 5"):
        mean_of_last(folder, 1, step=5)
    with pytest.raises(UserError, match="must be 1 or more. Received: 0"):
        mean_of_last(folder, 0)
    file = folder.checkpoints / "step_00000003" / "model.safetensors"
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(UserError, match="step_00000003 is damaged"):
        mean_of_last(folder, 2)
