"""What a run can be exported to, before it is worth exporting: the program `check_export`.

    python -m export.check_export --run_dir=runs/gpt

Every format is written for once and thrown away, from whatever weights the run has so far. Nothing is proved: that is
what `export_model` does.
"""

import os
import tempfile
from pathlib import Path

from absl import flags

from export import formats, run_kind
from tflm import program
from tflm.errors import UserError

_RUN_DIR = flags.DEFINE_string("run_dir", None, "The run folder to look at.")


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Give the run folder as --run_dir.")
    if not _RUN_DIR.value:
        raise UserError("--run_dir is missing: give the run folder to look at.")
    from tflm.run import RunFolder

    run_kind.check(RunFolder(_RUN_DIR.value).read_experiment(), _RUN_DIR.value)
    # As in export_model.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with program.quiet_native_messages():
        answers = check(Path(_RUN_DIR.value))
    for name, answer in answers.items():
        print(f"  {name:<32} {answer}")
    return 1 if any(answer.startswith("no") for answer in answers.values()) else 0


def check(run_dir: Path) -> dict[str, str]:
    """Artifact -> "yes" with its size, or "no" with the reason; of every format for models."""
    from export import lengths, manifest
    from tflm import run as runs

    run = runs.load(run_dir)
    settled = lengths.settled(run.model, None, None)
    answers = {}
    for pair in formats.chosen(list(formats.MODEL_FORMATS), list(formats.QUANTIZATIONS)):
        name = formats.artifact_path(*pair)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            try:
                formats.write_function(pair[0])(run, path, pair[1], settled)
            # Whatever a converter fails with is the answer.
            except Exception as error:  # noqa: BLE001
                answers[name] = f"no: {_first_line(error)}"
            else:
                answers[name] = f"yes, {manifest.size_and_checksum(path)[0] / 1e6:.2f} MB"
    return answers


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def run():
    program.run(main)


if __name__ == "__main__":
    run()
