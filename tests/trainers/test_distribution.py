"""Several devices and machines: the same losses as one device, one who writes, and what becomes of a killed worker.

What starts TensorFlow or JAX on several devices does so in processes of its own, `tests/distributed_side.py`.
"""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.tiny_experiments import tiny_experiment
from tflm.errors import UserError
from tflm.run import RunFolder
from trainers import callbacks, cluster, distribution, fit
from trainers.journal import Journal, NoJournal
from trainers.objectives.skip_gram import SkipGramConfig
from trainers.replicas import ReplicaSource, rows_of
from trainers.run_differences import differences_of

TWO = ["a:1", "b:2"]
SECONDS = 500
# Clipping acts: without it the norm of the gradient begins at 1.7.
SHORT = {"steps": 6, "batch_size": 8, "accumulation": 2, "clip_norm": 0.5}
LONG = SHORT | {"steps": 50, "eval_every": 25, "learning_rate": 3e-3}


def tf_config(workers, task="worker", index=0, **jobs) -> str:
    return json.dumps(
        {"cluster": {"worker": workers, **jobs}, "task": {"type": task, "index": index}}
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "needs TF_CONFIG in the environment of every worker, for example"),
        ("{", "must have JSON"),
        ("[]", "must have an object 'cluster'"),
        ('{"cluster": {"worker": ["a:1"]}}', "must have an object 'task'"),
        (tf_config([]), "must have workers in cluster.worker"),
        (tf_config("a:1"), "a list of host:port in cluster.worker, not 'a:1'"),
        (tf_config(["a"]), "a list of host:port in cluster.worker, not ['a']"),
        (tf_config(["a:1", "a:1"]), "another host:port for every worker, not a:1, a:1"),
        (tf_config(TWO, index=2), "task.index from 0 to 1, not 2"),
        (tf_config(TWO, index="0"), "a number in task.index, not '0'"),
        (tf_config(TWO, task="chief"), "task.type 'worker', not 'chief'"),
        (tf_config(TWO, ps=["c:3"]), "the jobs chief and worker only, not ps"),
    ],
)
def test_a_wrong_tf_config_is_one_line(text, wanted, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError) as raised:
        cluster.read_tf_config()
    assert wanted in str(raised.value)
    assert "\n" not in str(raised.value)
    assert cluster.EXAMPLE in str(raised.value)


def test_the_chief_comes_before_the_workers(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(TWO, index=1, chief=["c:3"]))
    assert cluster.read_tf_config() == cluster.Cluster(["c:3", "a:1", "b:2"], 2)
    monkeypatch.setenv("TF_CONFIG", cluster.EXAMPLE)
    assert cluster.read_tf_config() == cluster.Cluster(["host0:2222", "host1:2222"], 0)


def test_a_replica_has_its_part_of_every_micro_batch():
    batch = {"token_ids": np.arange(24).reshape(12, 2), "reset": np.arange(12), "scalar": 7}
    # Two micro-batches of rows 0 to 5 and 6 to 11, three replicas with two rows of each.
    for replica, rows in enumerate(([0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11])):
        part = rows_of(batch, replica, num_replicas=3, accumulation=2)
        assert part["reset"].tolist() == rows
        assert part["token_ids"].tolist() == [[2 * row, 2 * row + 1] for row in rows]
        assert part["scalar"] == 7


def test_a_worker_draws_the_batches_of_its_replicas_in_turn():
    class Source:
        asked = []

        def batch(self, step):
            self.asked.append(step)
            return {"rows": 100 * step + np.arange(8)}

    # The second of two workers with two devices each.
    source = ReplicaSource(Source(), first=2, local=2, num_replicas=4, accumulation=1)
    drawn = [source.batch(number)["rows"].tolist() for number in range(6, 10)]
    assert drawn == [[304, 305], [306, 307], [404, 405], [406, 407]]
    assert Source.asked == [3, 4], "each global batch is computed once"


def test_what_cannot_be_distributed_is_refused(corpus, monkeypatch):
    experiment = tiny_experiment("word2vec", corpus)
    with pytest.raises(UserError, match="--distribute 'mirror'. Choose one of: mirrored, multi"):
        distribution.start("mirror", experiment)
    monkeypatch.setattr(distribution.Mirrored, "__init__", lambda self: None)
    monkeypatch.setattr(distribution.Mirrored, "num_replicas", 3)
    with pytest.raises(UserError, match="a multiple of train.accumulation times the 3 devices"):
        distribution.start("mirrored", experiment)
    experiment.objective = SkipGramConfig()
    with pytest.raises(UserError, match="skip_gram updates single rows of its tables, on one"):
        distribution.start("mirrored", experiment)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="needs TF_CONFIG"):
        distribution.start("multi_worker", tiny_experiment("lstm", corpus))


def test_the_other_workers_write_nothing(tmp_path):
    folder = distribution.FolderOfTheChief(tmp_path / "run")
    folder.create()
    folder.write_experiment({})
    folder.save(None, is_best=True)
    journal = NoJournal()
    journal.write("train", 1, {})
    journal.close()
    assert list(tmp_path.iterdir()) == []
    public = {name for name in vars(Journal) if not name.startswith("_")}
    assert public == {name for name in vars(NoJournal) if not name.startswith("_")}


def test_a_worker_ends_with_the_one_that_got_the_signal():
    class Model:
        stop_training = False

    told = callbacks.GracefulStop(any_worker=lambda flag: True)
    told.set_model(Model())
    told.on_train_batch_end(0)
    assert told.model.stop_training
    assert told.received == signal.SIGTERM


def start(folder, name: str, env: dict | None = None, **request) -> subprocess.Popen:
    """A process of `distributed_side.py`; its output goes to FOLDER/NAME.log."""
    request["run_dir"] = str(folder / request["run_dir"])
    (folder / f"{name}.json").write_text(json.dumps(request))
    with open(folder / f"{name}.log", "w") as log:
        return subprocess.Popen(
            [sys.executable, "tests/distributed_side.py", str(folder), name],
            cwd=ROOT,
            env=os.environ | (env or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def finish(folder, name: str, process, code: int = 0) -> str:
    assert process.wait(SECONDS) == code, (folder / f"{name}.log").read_text()
    return (folder / f"{name}.log").read_text()


def start_workers(folder, **request) -> dict:
    """Two workers, by their names."""
    with socket.socket() as one, socket.socket() as other:
        for taken in (one, other):
            taken.bind(("localhost", 0))
        addresses = [f"localhost:{taken.getsockname()[1]}" for taken in (one, other)]
    return {
        f"worker{index}": start(
            folder,
            f"worker{index}",
            {"TF_CONFIG": tf_config(addresses, index=index)},
            distribute="multi_worker",
            **request,
        )
        for index in (0, 1)
    }


def curves(run_dir) -> np.ndarray:
    """Losses and gradient norms: (steps, 2)."""
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [entry for entry in map(json.loads, lines) if entry["kind"] == "train"]
    return np.array([[entry["loss"], entry["grad_norm"]] for entry in entries])


@pytest.fixture
def folder(tmp_path, corpus):
    shutil.copy(corpus, tmp_path / "text.txt")
    return tmp_path


def test_two_devices_are_one_and_either_goes_on_with_the_run(folder):
    """The LSTM's carried lanes, two micro-batches, clipping: every loss, and a run that changes its devices twice."""
    fit.train(tiny_experiment("lstm", folder / "text.txt", **SHORT), folder / "one")
    request = {"member": "lstm", "train": SHORT, "devices": 2, "distribute": "mirrored"}
    said = finish(folder, "two", start(folder, "two", run_dir="two", **request))
    assert "distributed: 2 devices of this machine" in said
    one, two = curves(folder / "one"), curves(folder / "two")
    assert one.shape == two.shape == (6, 2)
    assert one[:, 1].max() > SHORT["clip_norm"], "clipping acts"
    np.testing.assert_allclose(two, one, atol=1e-5)
    straight, changed = (RunFolder(folder / name).load_latest() for name in ("one", "two"))
    assert {k: v.shape for k, v in straight.training.items()} == {
        k: v.shape for k, v in changed.training.items()
    }
    lanes = [name for name in straight.training if "carry" in name]
    assert lanes
    for name in lanes:
        assert np.ptp(straight.training[name], axis=0).max() > 1e-3, "every lane has its own state"
        np.testing.assert_allclose(changed.training[name], straight.training[name], atol=1e-5)
    # Back to step 3, and on with one device: the same as with one all the way.
    RunFolder(folder / "two").load_step(3)
    shutil.rmtree(folder / "two" / "checkpoints" / "step_00000006")
    fit.train(tiny_experiment("lstm", folder / "text.txt", **SHORT), folder / "two")
    np.testing.assert_allclose(curves(folder / "two"), one, atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(2000)
@pytest.mark.parametrize("member", ["lstm", "gpt_rotary"])
def test_two_workers_are_one(member, folder):
    fit.train(tiny_experiment(member, folder / "text.txt", **LONG), folder / "one")
    workers = start_workers(folder, member=member, train=LONG, run_dir="two")
    said = {name: finish(folder, name, process) for name, process in workers.items()}
    assert "2 workers with 1 device each" in said["worker0"]
    assert "bits_per_byte" in said["worker0"]
    assert "bits_per_byte" not in said["worker1"], "only the chief speaks"
    one, two = curves(folder / "one"), curves(folder / "two")
    assert one.shape == two.shape == (50, 2)
    assert one[:, 1].max() > LONG["clip_norm"], "clipping acts"
    np.testing.assert_allclose(two, one, atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("victim", ["worker1", "worker0"])
def test_a_killed_worker_ends_the_others_and_the_job_goes_on_exactly(victim, folder):
    request = {
        "member": "lstm",
        "model": {"dropout": 0.2},
        "train": LONG | {"eval_every": 10, "keep_checkpoints": 9},
    }
    for name, process in start_workers(folder, run_dir="straight", **request).items():
        finish(folder, name, process)
    workers = start_workers(folder, run_dir="broken", **request)
    deadline = time.monotonic() + SECONDS
    log = folder / "broken" / "metrics.jsonl"
    while not log.exists() or len(log.read_text().splitlines()) < 17:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers[victim].kill()
    (other,) = set(workers) - {victim}
    said = finish(folder, other, workers[other], code=2)
    assert "error: Another worker is gone or cannot be reached, so this one ends too." in said
    assert RunFolder(folder / "broken").load_latest().step < 50
    for name, process in start_workers(folder, run_dir="broken", **request).items():
        finish(folder, name, process)
    assert differences_of(folder / "straight", folder / "broken") == []


@pytest.mark.slow
@pytest.mark.timeout(2000)
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.parametrize("member", ["lstm", "gpt_rotary"])
def test_two_devices_are_one_under_jax(member, folder):
    jax = {"KERAS_BACKEND": "jax"}
    two = jax | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    train = LONG | {"jit_compile": "on"}
    one = start(folder, "one", jax, run_dir="one", member=member, train=train)
    finish(folder, "one", one)
    spread = {"run_dir": "two", "member": member, "train": train, "distribute": "mirrored"}
    said = finish(folder, "two", start(folder, "two", two, **spread))
    assert "distributed: 2 devices of this machine by keras.distribution" in said
    np.testing.assert_allclose(curves(folder / "two"), curves(folder / "one"), atol=1e-5)
