"""The program that builds a store ahead: in one go, in shards, by Beam; `train` finds what it made."""

import re
import sys

import pytest

from tests.programs import program_in_process, run_program
from tests.tiny_experiments import tiny_experiment
from tflm.data.store import build_store
from tflm.errors import UserError
from tflm.run import RunFolder
from tflm.text import tokenizer as tokenizers
from trainers import fit, recipes


@pytest.fixture(scope="module")
def recipe(corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.py"
    path.write_text(
        "from tests.tiny_experiments import tiny_experiment\n\n\n"
        "def get_config():\n"
        f"    experiment = tiny_experiment('word2vec', {str(corpus)!r}, steps=1, eval_every=1)\n"
        "    experiment.tokenizer.kind = 'character'\n"
        "    return experiment\n"
    )
    return path


def files_of(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def build(recipe, *arguments):
    return run_program("trainers.build_store", f"--config={recipe}", *arguments)


def test_in_one_go_and_train_finds_it(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("TFLM_CACHE", str(tmp_path / "cache"))
    finished = build(recipe)
    assert finished.code == 0, finished
    assert "Training the tokenizer: character" in finished.out
    (store,) = (path for path in (tmp_path / "cache" / "stores").iterdir() if path.is_dir())
    assert f"The store is in {store}. trainers.train takes it with the same recipe" in finished.out
    before = {path: path.stat().st_mtime_ns for path in store.iterdir()}
    fit.train(recipes.load(str(recipe)), tmp_path / "run")
    assert [path for path in store.parent.iterdir() if path.is_dir()] == [store]
    assert {path: path.stat().st_mtime_ns for path in store.iterdir()} == before


def test_in_shards_with_the_tokenizer_of_a_run(recipe, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("TFLM_CACHE", str(tmp_path / "cache"))
    experiment = tiny_experiment("word2vec", corpus, steps=1, eval_every=1)
    fit.train(experiment, tmp_path / "run")
    tokenizer = tokenizers.load(RunFolder(tmp_path / "run").tokenizer_folder)
    alone = build_store(experiment.data, tokenizer, tmp_path / "alone")
    monkeypatch.setenv("TFLM_CACHE", str(tmp_path / "other"))
    common = [f"--tokenizer={tmp_path / 'run'}", f"--shards={tmp_path / 'shards'}"]
    first = build(recipe, *common, "--shard=1/2")
    assert f"Shard 1/2 is in {tmp_path / 'shards'}. Missing: 0/2." in first.out
    refused = build(recipe, *common, "--join")
    assert refused.code == 2
    assert refused.err.count("\n") == 1 and "missing in" in refused.err and "0/2" in refused.err
    assert "All shards are there: --join" in build(recipe, *common, "--shard=0/2").out
    joined = build(recipe, *common, "--join")
    assert joined.code == 0, joined
    assert f"--config.tokenizer.load_from={tmp_path / 'run'}" in joined.out
    assert files_of(tmp_path / "other" / "stores" / alone.fingerprint) == files_of(alone.folder)


def test_the_tokenizer_is_trained_once_and_train_takes_it(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("TFLM_CACHE", str(tmp_path / "cache"))
    common = [f"--tokenizer={tmp_path / 'new'}", f"--shards={tmp_path / 'shards'}"]
    assert "Training the tokenizer" in build(recipe, *common, "--shard=0/1").out
    assert [path.name for path in tmp_path.glob("*new*")] == ["new"]
    lines = (f"Other letters, other tokens: ÄÖÜ {i}\n" for i in range(300))
    (tmp_path / "other.txt").write_text("".join(lines), encoding="utf-8")
    joined = build(recipe, *common, "--join")
    assert joined.code == 0 and f"Taking the tokenizer in {tmp_path / 'new'}." in joined.out
    experiment = tiny_experiment("word2vec", tmp_path / "other.txt", steps=1, eval_every=1)
    experiment.tokenizer.load_from = str(tmp_path / "new")
    fit.train(experiment, tmp_path / "run")
    assert files_of(tmp_path / "run" / "tokenizer") == files_of(tmp_path / "new")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard=0/2"], "--shard needs --shards: a folder that is the same for all machines"),
        (["--join", "--shards={tmp}"], "--join needs --tokenizer: a folder that is the same"),
        (["--shards={tmp}"], "--shards needs one of --shard=i/n, --join and --runner"),
        (["--shard=0/2", "--join"], "--shard and --join exclude each other"),
        (["--shard=2/2", "--shards={tmp}", "--tokenizer={tmp}"], "i from 0 to n - 1.*: '2/2'"),
        (["--shard=one", "--shards={tmp}", "--tokenizer={tmp}"], "i from 0 to n - 1.*: 'one'"),
        (["--shard=0/2", "--shards={tmp}", "--tokenizer={tmp}"], "tokenizer.json cannot be read"),
        (["--corpus=no/such/text"], "no/such/text"),
        (["--run_dir=x"], "Unknown command line flag 'run_dir'"),
        (["rest"], "Unexpected argument 'rest'"),
    ],
)
def test_mistakes_are_one_line(recipe, tmp_path, arguments, message):
    finished = build(recipe, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert finished.code == 2 and finished.err.count("\n") == 1
    assert re.search(f"error: .*{message}", finished.err), finished.err
    assert not list(tmp_path.iterdir())


def test_without_beam_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with (
        program_in_process("trainers.build_store") as program,
        pytest.raises(UserError, match=r"pip install 'tflm\[beam\]'") as error,
    ):
        program._need_beam()
    assert "\n" not in str(error.value)


def test_beam_gives_the_identical_store(recipe, corpus, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam")
    monkeypatch.setenv("TFLM_CACHE", str(tmp_path / "cache"))
    tokenizer = tokenizers.train(tokenizers.TokenizerConfig("character"), [corpus.read_text()])
    tokenizer.save(tmp_path / "tokenizer")
    data = tiny_experiment("word2vec", corpus).data
    alone = build_store(data, tokenizer, tmp_path / "alone")
    common = [f"--tokenizer={tmp_path / 'tokenizer'}", f"--shards={tmp_path / 'shards'}"]
    finished = build(recipe, *common, "--runner=DirectRunner", "--num_shards=3")
    assert finished.code == 0, finished
    assert len(list(tmp_path.glob("shards/*/*_of_3/shard/data.bin"))) == 3
    assert files_of(tmp_path / "cache" / "stores" / alone.fingerprint) == files_of(alone.folder)
    failed = build(recipe, *common, "--runner=NoSuchRunner", "--num_shards=2")
    assert failed.code == 2 and failed.err.splitlines()[-1].startswith("error: The Beam pipeline")
