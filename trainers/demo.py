"""What `make demo` runs: three models on the text that ships with Python, compared, exported and proved.

Every command is printed as a user would type it, so the demo is also the tutorial. Run again, it goes on where it
stopped.
"""

import subprocess
import sys
import time
from pathlib import Path

from absl import flags

from tflm import program
from tflm.errors import UserError

RECIPES = ("word2vec_small", "lstm_small", "gpt_small")
_FOLDER = flags.DEFINE_string("folder", "runs/demo", "Where the runs and report.html go.")


def command(module: str, *arguments: str) -> list[str]:
    return ["python", "-m", module, *arguments]


def commands(folder: Path) -> list[list[str]]:
    """All that the demo does, in order."""
    runs = [folder / recipe.removesuffix("_small") for recipe in RECIPES]
    steps = [
        command("trainers.train", f"--config={recipe}", f"--run_dir={run}")
        for recipe, run in zip(RECIPES, runs, strict=True)
    ]
    steps += [
        command(
            "export.export_model",
            f"--run_dir={run}",
            "--format=saved_model,tflite",
            "--quantize=none,dynamic_int8",
        )
        for run in runs
    ]
    steps.append(
        command(
            "trainers.compare",
            f"--runs={','.join(map(str, runs))}",
            f"--output={folder / 'report.html'}",
        )
    )
    return steps


def main(argv):
    del argv
    started = time.monotonic()
    for step in commands(Path(_FOLDER.value)):
        print(f"\n$ {' '.join(step)}", flush=True)
        process = subprocess.run([sys.executable, *step[1:]], check=False)
        if process.returncode:
            raise UserError(f"This command ended with exit code {process.returncode}; see above.")
    print(
        f"\nDone in {(time.monotonic() - started) / 60:.1f} minutes. Open {_FOLDER.value}/report.html."
    )


def run():
    program.run(main)


if __name__ == "__main__":
    run()
