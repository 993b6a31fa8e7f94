"""A whole training, seen from outside: what it leaves, when it stops, what it refuses."""

import json
import os
import shutil
import signal

import filelock
import numpy as np
import pytest

from tests.tiny_experiments import tiny_experiment
from tflm import run
from tflm.data.windows import ShuffledWindows
from tflm.errors import UserError
from tflm.run import RunFolder
from trainers import callbacks, compilation, fit
from trainers.journal import Journal, write_projector
from trainers.run_differences import differences_of

EMA = {"steps": 10, "eval_every": 4, "log_every": 2, "ema": 0.9, "sample_tokens": 3}


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A finished run of Word2Vec; the tests only read it."""
    run_dir = tmp_path_factory.mktemp("trained") / "run"
    return fit.train(tiny_experiment("word2vec", corpus, **EMA), run_dir), run_dir


def entries(run_dir, kind: str | None = None) -> list[dict]:
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [e for e in map(json.loads, lines) if kind in (None, e["kind"])]


def train_small(corpus, run_dir, **train):
    return fit.train(tiny_experiment("word2vec", corpus, **train), run_dir)


def test_the_run_folder_holds_what_is_promised(trained):
    result, run_dir = trained
    assert result.progress.step == 10
    assert result.signal is None
    for name in ("experiment.json", "tokenizer/tokenizer.json", "LATEST", "BEST", "metrics.jsonl"):
        assert (run_dir / name).is_file(), name
    # keep_checkpoints is 2, and the last of these is the best.
    checkpoints = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    assert checkpoints == ["step_00000008", "step_00000010"]


def test_metrics_are_logged_at_their_steps(trained):
    result, run_dir = trained
    train, validation = entries(run_dir, "train"), entries(run_dir, "validation")
    assert [e["step"] for e in train] == [2, 4, 6, 8, 10]
    assert [e["step"] for e in validation] == [4, 8, 10]
    assert [e["step"] for e in entries(run_dir, "sample")] == [4, 8, 10]
    assert [e["tokens"] for e in train] == [128, 256, 384, 512, 640]  # 4 rows of 16 a step
    assert validation[-1]["bits_per_byte"] == result.metrics["bits_per_byte"]
    assert result.progress.best_score == min(e["bits_per_byte"] for e in validation)
    for entry in train:
        assert entry["tokens_per_second"] > 0
        assert entry["grad_norm"] > 0
        # One byte is one token; a share of the tokens are the BOS and EOS of documents.
        assert entry["bits_per_byte"] == pytest.approx(entry["loss"] / np.log(2), rel=0.02)


def test_the_last_validation_is_a_score_of_the_saved_weights(trained):
    from tflm.metrics.rolling import RollingScorer

    result, run_dir = trained
    loaded = run.load(run_dir)
    split = loaded.open_store().split("validation")
    nats, count = RollingScorer(loaded.model, 16, 4, loaded.tokenizer.bos_id).score(
        split.tokens[:200]
    )
    assert count == result.metrics["num_tokens"]
    assert nats == pytest.approx(result.metrics["nats"], rel=1e-6)


def test_tensorboard_has_keras_tags_and_ours(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, run_dir = trained
    sides = {}
    for side in ("train", "validation"):
        sides[side] = EventAccumulator(str(run_dir / "tensorboard" / side))
        sides[side].Reload()
    tags = {side: set(events.Tags()["tensors"]) for side, events in sides.items()}
    assert tags["train"] >= {
        "epoch_loss",
        "train/loss",
        "train/bits_per_byte",
        "train/grad_norm",
        "train/learning_rate",
        "perf/tokens_per_second",
        "perf/memory_mib",
    }
    assert tags["validation"] >= {"epoch_bits_per_byte", "eval/bits_per_byte", "samples/The"}

    def values(side, tag):
        from tensorboard.util.tensor_util import make_ndarray

        events = sides[side].Tensors(tag)
        return [e.step for e in events], [make_ndarray(e.tensor_proto).item() for e in events]

    steps, losses = values("train", "train/loss")
    assert steps == [2, 4, 6, 8, 10]
    np.testing.assert_allclose(losses, [e["loss"] for e in entries(run_dir, "train")], rtol=1e-6)
    steps, scores = values("validation", "eval/bits_per_byte")
    assert steps == [4, 8, 10]
    expected = [e["bits_per_byte"] for e in entries(run_dir, "validation")]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    _, texts = values("validation", "samples/The")
    assert texts[0].decode().startswith("    The")


def test_the_projector_has_a_name_for_every_vector(trained):
    _, run_dir = trained
    folder = run_dir / "tensorboard" / "train"
    vectors = np.loadtxt(folder / "embeddings.tsv", delimiter="\t")
    names = (folder / "tokens.tsv").read_text(encoding="utf-8").splitlines()
    assert vectors.shape == (260, 16)
    assert len(names) == 260
    assert names[4 + ord("a")] == "a"
    table = run.load(run_dir, step=10).model.embeddings()
    np.testing.assert_allclose(vectors, np.array(table), atol=1e-4)
    assert "tokens.tsv" in (folder / "projector_config.pbtxt").read_text()


def test_names_in_the_projector_stay_on_their_line(tmp_path):
    write_projector(RunFolder(tmp_path), np.zeros((3, 2)), ["a\tb", "\n", ""])
    lines = (tmp_path / "tensorboard" / "train" / "tokens.tsv").read_text().split("\n")
    assert lines == ["a\\tb", "\\n", " ", ""]


def test_a_finished_training_has_nothing_to_do(trained, corpus, tmp_path, capsys):
    result, run_dir = trained
    shutil.copytree(run_dir, tmp_path / "run")
    again = train_small(corpus, tmp_path / "run", **EMA)
    assert again.progress.step == 10
    assert again.metrics == result.metrics
    assert "Nothing to do" in capsys.readouterr().out
    assert entries(tmp_path / "run") == entries(run_dir)


def test_more_steps_go_on(trained, corpus, tmp_path):
    _, run_dir = trained
    shutil.copytree(run_dir, tmp_path / "run")
    # early_stopping may change too, and must not keep a run from going on that has not stalled.
    again = train_small(corpus, tmp_path / "run", **(EMA | {"steps": 12, "early_stopping": 9}))
    assert again.progress.step == 12
    assert [e["step"] for e in entries(tmp_path / "run", "train")] == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 3.0}, r"train.learning_rate=0.01, but this command asks for 3.0"),
        ({"model": {"window": 7}}, r"model.window=4, but this command asks for 7"),
    ],
)
def test_a_folder_of_other_settings_is_refused(trained, corpus, tmp_path, change, message):
    _, run_dir = trained
    shutil.copytree(run_dir, tmp_path / "run")
    model = change.pop("model", None)
    with pytest.raises(UserError, match=message):
        fit.train(tiny_experiment("word2vec", corpus, model, **(EMA | change)), tmp_path / "run")
    assert differences_of(run_dir, tmp_path / "run") == []


def test_a_folder_of_another_family_is_refused(trained, corpus):
    _, run_dir = trained
    with pytest.raises(UserError, match=r"holds a run with model\.\w+="):
        fit.train(tiny_experiment("lstm", corpus, **EMA), run_dir)


def test_two_processes_in_one_folder_are_refused(trained, corpus):
    _, run_dir = trained
    with (
        filelock.FileLock(run_dir / ".lock"),
        pytest.raises(UserError, match="Another process is training in .*--run_dir"),
    ):
        train_small(corpus, run_dir, **EMA)
    train_small(corpus, run_dir, **EMA)  # and not refused once the other one is gone


def test_early_stopping_keeps_the_best(corpus, tmp_path, capsys):
    # Nothing changes at this rate, so the first validation stays the best.
    settings = {"optimizer": "sgd", "learning_rate": 1e-30, "eval_every": 2, "steps": 40}
    result = train_small(corpus, tmp_path, **settings, early_stopping=2, keep_checkpoints=1)
    assert result.progress.step == 6
    assert result.progress.finished
    folder = RunFolder(tmp_path)
    assert sorted(path.name[-1] for path in folder.checkpoints.iterdir()) == ["2", "6"]
    assert folder.load_best().step == 2
    assert folder.load_latest().step == 6
    assert "Stopped early: no better validation in 2 in a row" in capsys.readouterr().out
    assert (tmp_path / "tensorboard" / "train" / "embeddings.tsv").exists()
    again = train_small(corpus, tmp_path, **settings, early_stopping=2)
    assert again.progress.step == 6
    more = train_small(corpus, tmp_path, **(settings | {"steps": 8}))  # no early stopping any more
    assert more.progress.step == 8


@pytest.fixture
def poison(monkeypatch):
    """From a step on, batches whose loss is not a number."""

    def from_step(poisoned):
        batch = ShuffledWindows.batch

        def poisoned_batch(self, step):
            values = batch(self, step)
            if step >= poisoned:
                values["weights"] = values["weights"] * np.float32(np.nan)
            return values

        monkeypatch.setattr(ShuffledWindows, "batch", poisoned_batch)

    return from_step


@pytest.mark.parametrize(
    ("log_every", "window"), [(1, "steps 5 to 5"), (3, "steps 4 to 6"), (10, "steps 1 to 8")]
)
def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good(
    corpus, tmp_path, poison, log_every, window
):
    poison(4)  # the fifth step
    settings = {"steps": 12, "eval_every": 4, "log_every": log_every}
    if log_every == 10:
        # The window of the log reaches over validations: it is looked at before each of them.
        settings["eval_every"] = 8
    with pytest.raises(UserError, match=f"training loss, first in {window}.*checkpoint is kept"):
        train_small(corpus, tmp_path, **settings)
    last = RunFolder(tmp_path).load_latest()
    if log_every == 10:
        assert last is None
        return
    assert last.step == 4
    assert all(np.isfinite(value).all() for value in last.model.values())
    assert max(e["step"] for e in entries(tmp_path)) <= 4


def test_weights_lost_in_the_last_step_of_a_slice_are_not_saved(corpus, tmp_path):
    """The loss of a step is computed before its update, so it may be finite when the weights no longer are."""
    settings = {"optimizer": "sgd", "clip_norm": 0.0, "weight_decay": 0.0, "warmup_steps": 0}
    with pytest.raises(UserError, match="Not a number any more"):
        train_small(corpus, tmp_path, **settings, learning_rate=1e39, eval_every=1)
    assert RunFolder(tmp_path).load_latest() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_goes_on(corpus, tmp_path, monkeypatch, number):
    settings = {"steps": 7, "eval_every": 4, "ema": 0.8, "keep_checkpoints": 9}
    handler = signal.getsignal(number)
    ends = callbacks.StepLog.on_train_batch_end

    def interrupted(self, batch, logs=None):
        ends(self, batch, logs)
        if self.progress.step == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(callbacks.StepLog, "on_train_batch_end", interrupted)
    result = train_small(corpus, tmp_path / "broken", **settings)
    assert result.signal == number
    assert signal.getsignal(number) is handler
    stopped_at = RunFolder(tmp_path / "broken").load_latest().step
    assert stopped_at == result.progress.step == 2
    monkeypatch.undo()
    assert train_small(corpus, tmp_path / "broken", **settings).progress.step == 7
    if number == signal.SIGTERM:
        train_small(corpus, tmp_path / "straight", **settings)
        assert differences_of(tmp_path / "straight", tmp_path / "broken") == []


def test_a_second_signal_ends_at_once():
    with callbacks.GracefulStop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_lines_of_a_killed_process_are_taken_back(tmp_path):
    folder = RunFolder(tmp_path)
    lines = [json.dumps({"kind": "train", "step": step, "loss": 1.0}) for step in (1, 2, 3, 4)]
    folder.metrics_file.write_text("\n".join(lines) + '\n{"kind": "train", "st')
    journal = Journal(folder, start_step=2)
    journal.write("train", 3, {"loss": 0.5, "text": "é\n"})
    journal.close()
    assert [(e["step"], e["loss"]) for e in entries(tmp_path)] == [(1, 1.0), (2, 1.0), (3, 0.5)]


def test_tensorboard_forgets_what_a_killed_process_wrote(tmp_path):
    # The one that TensorBoard itself uses.
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    for start, steps in ((0, (1, 2, 3, 4)), (2, (3,))):
        journal = Journal(RunFolder(tmp_path), start)
        for step in steps:
            journal.scalars("train", step, {"x": start})
        journal.close()
    events = EventAccumulator(str(tmp_path / "tensorboard" / "train"))
    events.Reload()
    assert [event.step for event in events.Tensors("x")] == [1, 2, 3]


def test_a_tokenizer_of_a_start_that_failed_is_not_taken_over(corpus, tmp_path):
    experiment = tiny_experiment("word2vec", corpus, steps=1)
    experiment.tokenizer.kind = "character"
    experiment.data.validation_fraction = 0.0
    with pytest.raises(UserError, match="no validation split"):
        fit.train(experiment, tmp_path)
    train_small(corpus, tmp_path, steps=1)
    assert run.load(tmp_path).tokenizer.kind == "byte"


def test_more_steps_are_said_and_stored(corpus, tmp_path, capsys):
    train_small(corpus, tmp_path, steps=2, eval_every=2)
    assert capsys.readouterr().err == ""
    train_small(corpus, tmp_path, steps=3, eval_every=2)
    assert "train.steps was 2 and is 3: from here on the learning rate" in capsys.readouterr().err
    assert RunFolder(tmp_path).read_experiment()["train"]["steps"] == 3


def test_a_text_that_changed_is_said(corpus, tmp_path, capsys):
    text = tmp_path / "text.txt"
    shutil.copy(corpus, text)
    train_small(text, tmp_path / "run", steps=2, eval_every=2)
    train_small(text, tmp_path / "run", steps=3, eval_every=2)
    assert "The tokens" not in capsys.readouterr().err
    text.write_text(text.read_text(encoding="utf-8").replace("sea", "sky"), encoding="utf-8")
    train_small(text, tmp_path / "run", steps=4, eval_every=2)
    assert "warning: The tokens are not those of the steps so far" in capsys.readouterr().err


def test_a_vocabulary_may_be_larger_than_the_tokenizers(corpus, tmp_path):
    experiment = tiny_experiment("word2vec", corpus, steps=1)
    experiment.model.vocabulary_size = 264
    fit.train(experiment, tmp_path)
    vectors = np.loadtxt(tmp_path / "tensorboard" / "train" / "embeddings.tsv", delimiter="\t")
    assert vectors.shape == (260, 16)
    experiment = tiny_experiment("word2vec", corpus, steps=1)
    experiment.model.vocabulary_size = 200
    with pytest.raises(UserError, match="is 200, but the tokenizer has 260 tokens. Leave it at 0"):
        fit.train(experiment, tmp_path / "other")


@pytest.mark.parametrize("jit_compile", ["off", "auto"])
def test_the_learning_rate_falls_until_the_last_of_the_epochs(
    corpus, tmp_path, monkeypatch, jit_compile
):
    """`epochs` decides `steps`, and `steps` the schedule: both must have been known to the optimizer."""
    monkeypatch.setattr(compilation, "fastest", lambda build, choices, steps, say: choices[-1])
    rates = []

    def look(experiment, folder, state, *others):
        optimizer, steps = state.training.optimizer, experiment.train.steps
        assert steps > 1000  # what it is where nobody says anything
        for step in (0, steps // 2, steps):
            optimizer.iterations.assign(step)
            rates.append(float(optimizer.learning_rate))

    settings = {"epochs": 2.0, "steps": 1000, "schedule": "linear", "warmup_steps": 0}
    settings |= {"learning_rate": 0.5, "final_learning_rate": 0.0, "jit_compile": jit_compile}
    fit.train(tiny_experiment("word2vec", corpus, **settings), tmp_path / "run", fit=look)
    assert rates == pytest.approx([0.5, 0.25, 0.0], abs=1e-3)
