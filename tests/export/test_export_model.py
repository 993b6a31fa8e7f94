"""The program from the command line, and the scripts of a stranger on what it wrote."""

import dataclasses
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.export import fake_run
from tests.export.run_folders import write_run_folder
from tflm.text.tokenizer import TokenizerConfig

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "the old captain remembers the road home. nobody paints"


def program(*arguments, limit_bytes=None, **environment):
    """Runs `python -m export.export_model`."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.run(
        [sys.executable, "-m", "export.export_model", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        preexec_fn=limit if limit_bytes else None,
    )


@dataclasses.dataclass
class ExportedRun:
    run: object
    path: Path
    finished: subprocess.CompletedProcess


@pytest.fixture(scope="module")
def exported_run(tmp_path_factory, corpus):
    """A run on subwords, exported by the program while another backend is asked for."""
    path = tmp_path_factory.mktemp("runs") / "captain"
    subwords = TokenizerConfig(kind="sentencepiece", vocabulary_size=360)
    run = write_run_folder(path, "gpt_rotary", corpus, subwords)
    finished = program(
        f"--run_dir={path}", "--quantize=none", "--prefill_lengths=16,4", KERAS_BACKEND="jax"
    )
    return ExportedRun(run, path, finished)


def test_the_program_exports_and_says_what_it_proved(exported_run):
    finished = exported_run.finished
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stderr == ""
    rows = [line for line in finished.stdout.splitlines() if "proved" in line]
    assert [row.split()[1] for row in rows] == ["saved_model", "model_float32.tflite"]
    manifest = json.loads((exported_run.path / "export" / "manifest.json").read_text())
    assert sorted(manifest["artifacts"]) == ["model_float32.tflite", "saved_model"]
    for entry in manifest["artifacts"].values():
        assert entry["step"] == 7
        assert entry["run"] == "captain"
        assert entry["tokenizer"]["kind"] == "sentencepiece"
        assert entry["proof"]["greedy_agreement"] == 1
    signatures = manifest["artifacts"]["model_float32.tflite"]["signatures"]
    assert sorted(signatures) == ["decode", "prefill_16", "prefill_4"]
    size = exported_run.run.tokenizer.vocabulary_size
    assert signatures["decode"]["outputs"]["logits"] == ["float32", [1, 1, size]]
    assert manifest["artifacts"]["saved_model"]["proof"]["greedy_agreement_of_generate"] == 1


def stranger(script, *arguments, folder):
    """Runs one of docs/ far from the checkout; it must not need this project."""
    path = ROOT / "docs" / script
    code = path.read_text()
    assert not re.search(r"\b(import|from)\s+(tflm|export|trainers|keras)\b", code)
    assert len(code.split('"""', 2)[2].strip().splitlines()) <= 35
    finished = subprocess.run(
        [sys.executable, str(path), *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_a_stranger_completes_text_with_the_saved_model(exported_run, tmp_path):
    (expected,) = fake_run.continue_with_decoder(
        Decoding(exported_run.run), [PROMPT], 64, temperature=0.0
    )
    (sampled,) = fake_run.continue_with_decoder(
        Decoding(exported_run.run), [PROMPT], 40, temperature=0.8, top_k=50, seed=1
    )
    folder = exported_run.path / "export" / "saved_model" / "1"
    output = stranger("complete_with_saved_model.py", folder, PROMPT, folder=tmp_path)
    decode = exported_run.run.tokenizer.decode
    assert output == f"{PROMPT}{decode(expected)}\n{decode(sampled)}\n"


def test_a_stranger_continues_a_prompt_with_the_tflite(exported_run, tmp_path):
    pytest.importorskip("ai_edge_litert")
    run = exported_run.run
    room = run.model.max_sequence_length - 1 - len(run.tokenizer.encode(PROMPT))
    assert len(run.tokenizer.encode(PROMPT)) > 17  # prefill and decode both read some of it
    (expected,) = fake_run.continue_with_decoder(Decoding(run), [PROMPT], room, temperature=0.0)
    output = stranger(
        "complete_with_tflite.py",
        exported_run.path / "export",
        "model_float32.tflite",
        PROMPT,
        room,
        folder=tmp_path,
    )
    assert output == f"{PROMPT}{run.tokenizer.decode(expected)}\n"


@dataclasses.dataclass
class Decoding:
    """A run with the place for a decoder that fake_run keeps."""

    run: object
    decoder: object = None

    def __getattr__(self, name):
        return getattr(self.run, name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--run_dir is missing"),
        (["--run_dir=nowhere"], "nowhere is not a run folder"),
        (["--run_dir=x", "--format=onnx"], "Unknown --format 'onnx'"),
        (["--run_dir=x", "--quantize=int4"], "Unknown --quantize 'int4'"),
        (["--run_dir=x", "--prefill_lengths=a"], "--prefill_lengths must be whole numbers"),
        (["--run_dir=x", "--frmat=onnx"], "Unknown command line flag 'frmat'"),
        (["runs/gpt"], "Give the run folder as --run_dir"),
    ],
)
def test_a_mistake_is_one_line_at_once(arguments, message):
    finished = program(*arguments)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert finished.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format=fasttext_vec"], "--format=fasttext_vec is for word vectors"),
        (["--similarity=x.txt"], "--similarity measures runs that were trained for their word"),
    ],
)
def test_what_does_not_suit_a_language_model_is_one_line(exported_run, arguments, message):
    finished = program(f"--run_dir={exported_run.path}", *arguments)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def word_vectors(tmp_path_factory, corpus):
    """A run of FastText, and a file of pairs of its words."""
    from tflm.models.fasttext import FastTextConfig
    from trainers.objectives.skip_gram import SkipGramConfig

    folder = tmp_path_factory.mktemp("words")
    words = TokenizerConfig(kind="word", vocabulary_size=200)
    model = FastTextConfig(hidden_dim=40, buckets=300)
    run = write_run_folder(
        folder / "words", "word2vec", corpus, words, model=model, objective=SkipGramConfig()
    )
    known = run.tokenizer.pieces
    rows = [f"{known[i]}\t{known[-i]}\t{i % 7}" for i in range(1, len(known) // 2)]
    (folder / "mine.tsv").write_text("\n".join([*rows, "nowhere\tnothing\t1"]), encoding="utf-8")
    return run, folder / "mine.tsv"


def test_the_program_exports_word_vectors(word_vectors):
    run, pairs = word_vectors
    count = len(pairs.read_text(encoding="utf-8").splitlines())
    finished = program(
        f"--run_dir={run.run_dir}",
        "--format=saved_model,tflite,word2vec_binary",
        f"--similarity={pairs}",
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stderr == ""
    rows = [line for line in finished.stdout.splitlines() if "proved" in line]
    names = ["saved_model", "model_float32.tflite", "model_dynamic_int8.tflite", "vectors.bin"]
    assert [row.split()[1] for row in rows] == names
    assert "Spearman mine," in finished.stdout
    assert f"{count - 1} of {count}" in finished.stdout
    assert "tokens/s" not in finished.stdout  # no column without a figure
    manifest = json.loads((run.run_dir / "export" / "manifest.json").read_text())["artifacts"]
    assert sorted(manifest) == sorted(names)
    for name, entry in manifest.items():
        score = entry["proof"]["similarity"]["mine"]
        assert (score["change"] == 0) == (name != "model_dynamic_int8.tflite")
    assert manifest["saved_model"]["proof"]["num_texts"] > 20


def test_sets_that_cannot_be_used_are_one_line(word_vectors, tmp_path):
    run, _ = word_vectors
    other = tmp_path / "other.txt"
    other.write_text("Hund Katze 3\nHaus Baum 4\n")
    for path, message in (
        (tmp_path / "nowhere.txt", f"Cannot read {tmp_path / 'nowhere.txt'}"),
        (other, "--similarity: of the 2 pairs of other only 0 are of words that this run knows"),
    ):
        finished = program(
            f"--run_dir={run.run_dir}", f"--output_dir={tmp_path / 'e'}", f"--similarity={path}"
        )
        assert finished.returncode == 2
        assert message in finished.stderr
        assert len(finished.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "e").exists()


def test_help_imports_nothing_heavy():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['x', '--help']\n"
        "try: runpy.run_module('export.export_model', run_name='__main__', alter_sys=True)\n"
        "finally: print(sorted({'tensorflow', 'keras', 'rich', 'numpy'} & set(sys.modules)))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert "--run_dir" in finished.stdout
    assert finished.stdout.strip().endswith("[]")


def test_a_full_disk_is_one_line(exported_run, tmp_path):
    finished = program(
        f"--run_dir={exported_run.path}",
        f"--output_dir={tmp_path / 'export'}",
        "--format=tflite",
        "--quantize=none",
        limit_bytes=60_000,
    )
    assert finished.returncode == 2
    assert f"Cannot write the export to {tmp_path / 'export'}" in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.tflite*"))


def test_past_a_threshold_the_program_exits_with_one(exported_run, tmp_path):
    """Its own writer is replaced by one that writes another model's weights."""
    code = f"""
import sys
from export import export_model, formats
from tests.export.test_artifacts import other_weights
formats.write_function = lambda name: other_weights
sys.argv = ["x", "--run_dir={exported_run.path}", "--output_dir={tmp_path}", "--format=tflite"]
export_model.run()
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode == 1, finished.stderr
    assert "model_float32.tflite was removed: max |dlogit|" in finished.stdout
    assert "model_dynamic_int8.tflite was removed: token agreement" in finished.stdout
    assert not list(tmp_path.glob("*.tflite"))
