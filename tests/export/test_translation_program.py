"""The program on runs that translate, and the scripts of a stranger on what it wrote."""

import json
import re

import numpy as np
import pytest

from tests.export.run_folders import write_translation_folder
from tests.export.test_export_model import program, stranger
from tflm.text.tokenizer import TokenizerConfig

TEXT = "eins drei acht"


@pytest.fixture(scope="module")
def exported_run(tmp_path_factory):
    """A run on subwords, one tokenizer for each side, and what the program said of it."""
    folder = tmp_path_factory.mktemp("runs")
    subwords = TokenizerConfig(kind="sentencepiece", vocabulary_size=300)
    run = write_translation_folder(
        folder / "german", "transformer_rotary", folder, subwords, subwords
    )
    finished = program(
        f"--run_dir={run.run_dir}",
        "--quantize=none",
        "--source_length=24",
        "--beam_size=3",
        "--proof_pairs=5",
    )
    return run, finished


def test_the_program_exports_and_says_what_it_proved(exported_run):
    run, finished = exported_run
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stderr == ""
    rows = [line for line in finished.stdout.splitlines() if "proved" in line]
    assert [row.split()[1] for row in rows] == ["saved_model", "model_float32.tflite"]
    assert "BLEU" in finished.stdout
    folder = run.run_dir / "export"
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    file, model = artifacts["model_float32.tflite"], artifacts["saved_model"]
    assert sorted(file["signatures"]) == ["decode", "encode"]
    assert file["signatures"]["encode"]["inputs"] == {"source_ids": ["int32", [1, 24]]}
    assert file["source_length"] == 24
    assert sorted(model["signatures"]) == [
        "decode",
        "encode",
        "score",
        "serving_default",
        "translate",
        "translate_n_best",
    ]
    assert model["proof"]["beam_size"] == 3
    for entry in (file, model):
        assert entry["proof"]["greedy_agreement"] == 1
        assert entry["proof"]["num_pairs"] == 5
        assert entry["source_tokenizer"]["fingerprint"] == run.source_tokenizer.fingerprint()


def test_a_stranger_translates_with_the_saved_model(exported_run, tmp_path):
    run, _ = exported_run
    texts = [TEXT, "zwei"]
    folder = run.run_dir / "export" / "saved_model" / "1"
    lines = stranger("translate_with_saved_model.py", folder, *texts, folder=tmp_path).splitlines()
    from tflm.generation.beam import BeamConfig
    from tflm.generation.translate import Translator

    translator = Translator(run.model, run.tokenizer, run.source_tokenizer)
    assert lines[:2] == translator.translate(texts, BeamConfig(beam_size=3, max_length=48))
    scored = [re.fullmatch(r"(-\d+\.\d{3})  (.*)", line).groups() for line in lines[2:]]
    found = translator.candidates(texts, BeamConfig(beam_size=3, num_best=3, max_length=41))
    wanted = [candidate for candidates in found for candidate in candidates]
    assert [text for _, text in scored] == [candidate.text for candidate in wanted]
    scores = [float(score) for score, _ in scored]
    np.testing.assert_allclose(scores, [candidate.score for candidate in wanted], atol=1e-3)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")  # one token
def test_a_stranger_translates_with_the_tflite(exported_run, tmp_path):
    pytest.importorskip("ai_edge_litert")
    run, _ = exported_run
    source = np.asarray([[*run.source_tokenizer.encode(TEXT), run.tokenizer.eos_id]])
    ids = [run.tokenizer.bos_id]
    for _ in range(20):
        best = int(np.argmax(run.model(np.asarray([ids]), source)[0, -1]))
        if best == run.tokenizer.eos_id:
            break
        ids.append(best)
    output = stranger(
        "translate_with_tflite.py",
        run.run_dir / "export",
        "model_float32.tflite",
        TEXT,
        20,
        folder=tmp_path,
    )
    assert output == run.tokenizer.decode(ids) + "\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source_length=49"], "--source_length must be at least 2 and at most the model's 48."),
        (["--prefill_lengths=8"], "--prefill_lengths are for models without an encoder."),
        (["--beam_size=0"], "--beam_size must be at least 1. Received: 0."),
    ],
)
def test_what_does_not_suit_is_one_line(exported_run, arguments, message):
    finished = program(f"--run_dir={exported_run[0].run_dir}", *arguments)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
