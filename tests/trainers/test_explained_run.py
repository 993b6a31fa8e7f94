"""What explains a run: its share of the machine's rate, how far updates move the weights, a profile on request."""

import json
import time

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from tests.tiny_experiments import tiny_experiment
from tests.zoo import VOCABULARY_SIZE
from tflm.errors import UserError
from tflm.run import RunFolder
from trainers import distribution, fit, machine, mfu, objectives, profiler, update_ratio
from trainers.callbacks import Progress

RATE = 1e9


@pytest.fixture(scope="module")
def explained(corpus, tmp_path_factory):
    """A run of 4 steps, each of them logged and saved, on a machine of 1 GFLOP/s; its steps 2 and 3 are profiled."""
    run_dir = tmp_path_factory.mktemp("explained") / "run"
    experiment = tiny_experiment("word2vec", corpus, steps=4, eval_every=1, keep_checkpoints=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "matmul_rate", lambda policy: RATE)
        fit.train(experiment, run_dir, profile_steps=(2, 3))
    events = EventAccumulator(str(run_dir / "tensorboard" / "train"))
    events.Reload()
    return run_dir, events


def values(events, tag: str) -> dict[int, float]:
    return {e.step: make_ndarray(e.tensor_proto).item() for e in events.Tensors(tag)}


def test_mfu_is_the_share_of_the_rate(explained):
    run_dir, events = explained
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    logged = {e["step"]: e for e in lines if e["kind"] == "train"}
    curve = values(events, "perf/mfu")
    for step in (2, 3, 4):
        # Forward and backward of the product with the output vectors.
        expected = logged[step]["tokens_per_second"] * 6 * 16 * VOCABULARY_SIZE / RATE
        assert logged[step]["mfu"] == pytest.approx(expected, abs=6e-5)
        assert curve[step] == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize(
    ("memory", "replicas", "machines", "expected"),
    [(None, 1, 1, 1), (None, 4, 2, 2), ((1, 2), 4, 2, 4)],
    ids=["processor", "two processors", "four GPUs"],
)
def test_the_rate_is_that_of_all_devices(
    memory, replicas, machines, expected, corpus, monkeypatch, capsys
):
    """Replicas on a processor share it; a GPU is each one's own."""
    monkeypatch.setattr(machine, "device_memory", lambda: memory)
    monkeypatch.setattr(machine, "matmul_rate", lambda policy: RATE)
    group = distribution.OneDevice()
    group.num_replicas, group.num_machines = replicas, machines
    assert group.num_devices == expected
    experiment = tiny_experiment("word2vec", corpus)
    experiment.model.vocabulary_size = 1000
    seconds = mfu.per_token(
        experiment, objectives.build(experiment.objective), 64, group.num_devices
    )
    assert seconds == pytest.approx(6 * 16 * 1000 / RATE / expected)
    said = "this machine multiplies" if expected == 1 else f"each of {expected} devices multiplies"
    assert said in capsys.readouterr().out


def test_update_ratios_are_those_of_the_checkpoints(explained):
    """Between two checkpoints lies one update."""
    run_dir, events = explained
    folder = RunFolder(run_dir)
    for name in ("token_embedding", "output_embedding"):
        curve = values(events, f"update_ratio/{name}")
        path = {"token_embedding": "word2vec/token_embedding/embeddings"}.get(
            name, f"word2vec/{name}"
        )
        for step in (2, 3, 4):
            before, after = (folder.load_step(s).model[path].astype("f8") for s in (step - 1, step))
            expected = np.linalg.norm(after - before) / np.linalg.norm(before)
            assert curve[step] == pytest.approx(expected, rel=1e-4)
            assert expected > 1e-3


def test_the_profile_is_where_tensorboard_looks(explained):
    run_dir, _ = explained
    traces = list((run_dir / "tensorboard" / "train" / "plugins" / "profile").glob("*/*.xplane.pb"))
    assert len(traces) == 1
    content = traces[0].read_bytes()
    assert b"train" in content and len(content) > 1000


def test_groups_are_the_parts_of_the_model():
    def variable(path):
        return type("Variable", (), {"path": path})()

    paths = ["gpt/token_embedding/embeddings", "gpt/block_0/attention/a", "gpt/block_0/norm/b"]
    grouped = update_ratio.groups([variable(path) for path in paths])
    assert {n: [v.path for v in vs] for n, vs in grouped.items()} == {
        "token_embedding": paths[:1],
        "block_0": paths[1:],
    }


def test_ratios_by_hand():
    before = [[np.array([3.0, 0.0]), np.array([[4.0]])], [np.zeros(2)]]
    after = [[np.array([3.0, 0.3]), np.array([[4.4]])], [np.ones(2)]]
    ratios = update_ratio.ratios(before, after)
    np.testing.assert_allclose([float(r) for r in ratios], [0.5 / 5, 0.0], rtol=1e-6)


@pytest.mark.parametrize("given", [["5"], ["a", "b"], ["5", "3"], ["0", "3"], ["1", "2", "3"]])
def test_steps_to_profile_must_be_two_steps(given):
    message = f"as in --profile_steps=100,105. Received: {','.join(given)}."
    with pytest.raises(UserError, match=message):
        profiler.steps_to_profile(given)
    assert profiler.steps_to_profile(["3", "5"]) == (3, 5)
    assert profiler.steps_to_profile([]) == ()


def test_a_profile_of_steps_that_are_done_is_said_to_be_none(tmp_path, capsys):
    profiler.Profiler(RunFolder(tmp_path), Progress(step=9), 2, 9)
    assert "Step 9 is done: the training goes on after it" in capsys.readouterr().err


def test_the_rate_is_counted_from_the_time_of_a_product(monkeypatch):
    """A machine that needs n^3 / 10^12 s for a product of n x n is measured at 2 TFLOP/s."""
    monkeypatch.setattr(machine, "_seconds", lambda factor: factor.shape[0] ** 3 / 1e12)
    monkeypatch.setattr(machine, "SECONDS", 0.0)
    assert machine.matmul_rate.__wrapped__("float32") == pytest.approx(2e12)


def test_the_measured_rate_is_that_of_a_machine():
    rate = machine.matmul_rate("float32")
    assert 1e8 < rate < 1e15
    assert machine.matmul_rate("float32") == rate, "measured once a process"


def test_what_is_held_at_most_is_seen():
    with machine.PeakMemory() as memory:
        block = np.ones(50_000_000, "uint8")
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass
        del block
    assert memory.where == "process"
    assert 45e6 < memory.bytes < 500e6
