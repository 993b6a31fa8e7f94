"""What cannot be exported is named, and the others are tried all the same."""

import shutil

from export import formats
from tests.conftest import ROOT
from tests.programs import program_in_process, run_program
from tflm.errors import UserError

GOLDEN = ROOT / "tests" / "golden"


def test_every_format_of_a_model_is_tried(monkeypatch):
    write_function = formats.write_function

    def broken(name):
        def write(run, path, quantization, lengths):
            if quantization == "dynamic_int8":
                raise UserError("no int8 here\nmore of it")
            path.write_bytes(b"x" * 2_000_000)

        return write if name == "tflite" else write_function(name)

    monkeypatch.setattr(formats, "write_function", broken)
    with program_in_process("export.check_export") as program:
        answers = program.check(GOLDEN / "word2vec")
    assert list(answers) == ["saved_model", "model_float32.tflite", "model_dynamic_int8.tflite"]
    assert answers["saved_model"].startswith("yes, ")
    assert answers["model_float32.tflite"] == "yes, 2.00 MB"
    assert answers["model_dynamic_int8.tflite"] == "no: no int8 here"


def test_a_run_without_an_export_is_one_line(tmp_path):
    shutil.copytree(GOLDEN / "fasttext_classifier", tmp_path / "run")
    finished = run_program("export.check_export", f"--run_dir={tmp_path / 'run'}")
    assert finished.code == 2
    assert "classify_bag, which has no export yet" in finished.err
