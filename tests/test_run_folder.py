"""The run folder survives what disks and people do to it."""

import json
import os
import shutil

import numpy as np
import pytest

from tests import zoo
from tflm import config as configs
from tflm import models, run
from tflm.errors import UserError
from tflm.run import Checkpoint, RunFolder, assign_arrays
from tflm.text import tokenizer as tokenizers

FILES = ("model.safetensors", "training.safetensors", "state.json")


def checkpoint(step: int) -> Checkpoint:
    random = np.random.default_rng(step)
    model = {"m/kernel": random.normal(size=(3, 4)).astype("float32")}
    training = {"adam/iteration": np.array(step), "adam/m": random.normal(size=5).astype("float32")}
    return Checkpoint(step, model, training, {"progress": {"step": step}, "metrics": {"x": 0.1}})


def assert_same(one: Checkpoint, other: Checkpoint):
    assert one.step == other.step
    assert one.state == other.state
    for left, right in ((one.model, other.model), (one.training, other.training)):
        assert set(left) == set(right)
        for name, value in left.items():
            assert value.dtype == right[name].dtype
            assert value.shape == right[name].shape
            assert value.tobytes() == right[name].tobytes()


@pytest.fixture
def folder(tmp_path):
    """Three checkpoints, the second of them the best."""
    folder = RunFolder(tmp_path / "run")
    folder.create()
    for step in (10, 20, 30):
        folder.save(checkpoint(step), is_best=step == 20, keep=3)
    return folder


def flip_a_bit(path, place: float):
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 0x10
    path.write_bytes(data)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.checkpoints.iterdir())


def test_what_was_saved_is_loaded(folder):
    assert_same(folder.load_latest(), checkpoint(30))
    assert_same(folder.load_best(), checkpoint(20))
    assert_same(folder.load_step(10), checkpoint(10))
    assert (folder.path / "LATEST").read_text() == "step_00000030"
    assert (folder.path / "BEST").read_text() == "step_00000020"


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: flip_a_bit(path, 0.01),
        lambda path: flip_a_bit(path, 0.5),
        lambda path: flip_a_bit(path, 0.99),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
    ],
    ids=["truncated", "empty", "missing", "bit early", "bit middle", "bit late", "zeros"],
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(folder, file, damage):
    damage(folder.checkpoints / "step_00000030" / file)
    said = []
    assert_same(folder.load_latest(said.append), checkpoint(20))
    assert len(said) == 1
    assert "step_00000030 is damaged" in said[0]
    assert "Falling back" in said[0]
    assert "\n" not in said[0]


@pytest.mark.parametrize("text", ["[]", "3", "null", '{"checksums": 3}', "{}"])
def test_a_state_that_is_no_state_is_damage(folder, text):
    (folder.checkpoints / "step_00000030" / "state.json").write_text(text)
    assert folder.load_latest().step == 20


def test_a_changed_number_in_the_state_is_damage(folder):
    path = folder.checkpoints / "step_00000030" / "state.json"
    path.write_text(path.read_text().replace('"step": 30', '"step": 31'))
    assert folder.load_latest().step == 20


def test_when_all_are_damaged_it_is_one_line(folder):
    for name in names(folder):
        flip_a_bit(folder.checkpoints / name / "model.safetensors", 0.9)
    said = []
    with pytest.raises(UserError, match="No checkpoint in .* is whole") as error:
        folder.load_latest(said.append)
    assert len(said) == 3
    assert "\n" not in str(error.value)


def test_a_damaged_best_falls_back_to_the_newest(folder):
    flip_a_bit(folder.checkpoints / "step_00000020" / "model.safetensors", 0.9)
    said = []
    assert folder.load_best(said.append).step == 30
    assert "Falling back to the newest" in said[0]


def test_the_best_is_kept_when_older_than_the_newest(tmp_path):
    folder = RunFolder(tmp_path)
    folder.create()
    for step in range(1, 8):
        folder.save(checkpoint(step), is_best=step == 2, keep=2)
    assert names(folder) == ["step_00000002", "step_00000006", "step_00000007"]
    assert folder.load_best().step == 2
    folder.save(checkpoint(8), is_best=True, keep=1)
    assert names(folder) == ["step_00000008"]


def test_a_save_that_was_killed_loses_nothing(folder):
    """SIGKILL leaves a folder beside the checkpoints, under another name."""
    partial = folder.checkpoints / ".step_00000040.partial"
    shutil.copytree(folder.checkpoints / "step_00000030", partial)
    (partial / "state.json").unlink()
    (folder.path / ".LATEST.partial").write_text("step_0000")
    assert folder.load_latest().step == 30
    folder.save(checkpoint(40), is_best=False, keep=2)
    assert_same(folder.load_latest(), checkpoint(40))
    assert names(folder) == ["step_00000020", "step_00000030", "step_00000040"]
    assert (folder.path / "LATEST").read_text() == "step_00000040"


@pytest.mark.parametrize("killed_in", ["save_file", "rename", "replace"])
def test_nothing_is_lost_wherever_a_save_is_cut(folder, killed_in, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    if killed_in == "save_file":
        monkeypatch.setattr("safetensors.numpy.save_file", die)
    elif killed_in == "rename":
        monkeypatch.setattr("pathlib.Path.rename", die)
    else:
        monkeypatch.setattr(os, "replace", die)
    with pytest.raises(Killed):
        folder.save(checkpoint(40), is_best=True)
    monkeypatch.undo()
    # Only where the new one was renamed into its place does it count: whole or not at all.
    assert folder.load_latest().step == (40 if killed_in == "replace" else 30)
    assert folder.load_best().step == 20
    folder.save(checkpoint(40), is_best=True, keep=3)
    assert_same(folder.load_best(), checkpoint(40))
    assert names(folder)[-1] == "step_00000040"


def test_a_damaged_later_checkpoint_never_displaces_a_new_one(folder):
    """The training fell back to 20 and saves 25, keeping one: 30 was damaged and is given up."""
    flip_a_bit(folder.checkpoints / "step_00000030" / "model.safetensors", 0.9)
    folder.save(checkpoint(25), is_best=False, keep=1)
    assert names(folder) == ["step_00000020", "step_00000025"]
    assert folder.load_latest().step == 25
    assert folder.load_best().step == 20


def test_a_full_disk_keeps_the_last_good_checkpoint(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        UserError, match="No space left on device.*The last good checkpoint is kept"
    ):
        folder.save(checkpoint(40), is_best=True)
    monkeypatch.undo()
    assert names(folder) == ["step_00000010", "step_00000020", "step_00000030"]
    assert folder.load_latest().step == 30


def test_safetensors_own_error_is_a_full_disk_too(folder, monkeypatch):
    class SafetensorError(Exception):
        pass

    def full(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left (os error 28)")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(UserError, match="Cannot write the checkpoint"):
        folder.save(checkpoint(40), is_best=True)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write the run folder .*Give another --run_dir"):
        RunFolder(tmp_path / "file" / "run").create()


def test_an_unknown_step_lists_the_known_ones(folder):
    with pytest.raises(UserError, match="no checkpoint of step 11.*step_00000010, step_00000020"):
        folder.load_step(11)


def test_names_and_shapes_are_compared_both_ways():
    model = models.build(zoo.ZOO["word2vec"])
    arrays = run.named_arrays(model.variables)
    before = {name: value.copy() for name, value in arrays.items()}
    table = "word2vec/token_embedding/embeddings"
    wrong = [
        ({k: v for k, v in arrays.items() if k != table}, f"{table} is missing"),
        (arrays | {"extra": np.zeros(2)}, "extra is not in the model"),
        (arrays | {table: arrays[table].T}, r"has shape \(16, 260\) instead of \(260, 16\)"),
    ]
    for values, message in wrong:
        with pytest.raises(UserError, match=message):
            assign_arrays(model.variables, values, "x")
    after = run.named_arrays(model.variables)
    for name, value in before.items():  # refused as a whole, nothing was assigned
        np.testing.assert_array_equal(after[name], value)


def test_two_variables_of_one_name_are_refused():
    model = models.build(zoo.ZOO["word2vec"])
    with pytest.raises(ValueError, match="Two variables have one path"):
        run.named_arrays([*model.variables, model.variables[0]])


@pytest.fixture
def whole_run(tmp_path):
    """A run folder with an untrained model in it."""
    config = zoo.ZOO["word2vec"]
    model = zoo.build("word2vec")
    folder = RunFolder(tmp_path / "whole")
    folder.create()
    folder.write_experiment(
        {
            "model": {"family": "word2vec"} | configs.to_dict(config),
            "objective": {"kind": "causal"},
            "data": {},
            "train": {},
        }
    )
    tokenizers.train(tokenizers.TokenizerConfig(kind="byte"), []).save(folder.tokenizer_folder)
    folder.save(Checkpoint(5, run.named_arrays(model.variables), {}, {}), is_best=True)
    return folder, model


def test_load_gives_the_model_and_all_that_belongs_to_it(whole_run):
    folder, model = whole_run
    loaded = run.load(folder.path)
    assert (loaded.family, loaded.name, loaded.step) == ("word2vec", "whole", 5)
    assert loaded.tokenizer.encode("a") == [101]
    ids = np.array([[5, 6, 7]], "int32")
    np.testing.assert_array_equal(np.array(loaded.model(ids)), np.array(model(ids)))


def test_load_takes_the_mean_of_the_last_checkpoints(whole_run):
    folder, model = whole_run
    doubled = {v.path: 2 * np.array(v.numpy()) for v in model.variables}
    folder.save(Checkpoint(6, doubled, {}, {}), is_best=False, keep=2)
    loaded = run.load(folder.path, average=2)
    assert loaded.step == 6
    for one, other in zip(loaded.model.variables, model.variables, strict=True):
        np.testing.assert_allclose(np.array(one.numpy()), 1.5 * np.array(other.numpy()), rtol=1e-6)
    with pytest.raises(UserError, match="too few to average 3"):
        run.load(folder.path, average=3)


def test_load_gives_the_source_its_own_tokenizer_where_there_is_one(whole_run):
    folder, _ = whole_run
    loaded = run.load(folder.path)
    assert loaded.source_tokenizer is loaded.tokenizer
    config = tokenizers.TokenizerConfig(kind="character")
    tokenizers.train(config, ["abc"]).save(folder.source_tokenizer_folder)
    loaded = run.load(folder.path)
    assert (loaded.source_tokenizer.kind, loaded.tokenizer.kind) == ("character", "byte")


def edited(folder, edit) -> None:
    path = folder.path / "experiment.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: v["model"].update(hidden_dim=17), "does not fit the model.*has shape"),
        (
            lambda v: v["model"].update(family="gtp"),
            "Unknown family 'gtp'. Choose one of: .*glove, gpt",
        ),
        (lambda v: v["model"].update(size=3), "Unknown key 'size' in model. Known keys: vocab"),
        (lambda v: v["model"].update(window="4"), "model.window must be int. Received: '4'"),
        (lambda v: v["model"].update(window=0), "`window` must be at least 1. Received: 0"),
        (lambda v: v.pop("model"), "experiment.json is damaged"),
        (lambda v: v.update(model=[1]), "experiment.json is damaged"),
        (lambda v: v.update(format_version=99), "has format version 99; .* reads 1"),
        (lambda v: v.pop("format_version"), "experiment.json is damaged"),
    ],
)
def test_a_wrong_experiment_is_one_line(whole_run, edit, message):
    folder, _ = whole_run
    edited(folder, edit)
    with pytest.raises(UserError, match=message) as error:
        run.load(folder.path)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_said(whole_run, tmp_path):
    folder, _ = whole_run
    with pytest.raises(UserError, match="is not a run folder: it has no experiment.json"):
        run.load(tmp_path / "nothing")
    (folder.path / "experiment.json").write_text('{"format')
    with pytest.raises(UserError, match="experiment.json is damaged"):
        run.load(folder.path)


def test_a_run_without_checkpoint_or_tokenizer_is_one_line(whole_run):
    folder, _ = whole_run
    shutil.rmtree(folder.tokenizer_folder)
    with pytest.raises(UserError, match="tokenizer"):
        run.load(folder.path)
    shutil.rmtree(folder.checkpoints)
    with pytest.raises(UserError, match="has no checkpoint yet"):
        run.load(folder.path)
