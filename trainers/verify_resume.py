"""Prove that a training that was killed and started again ends exactly where an undisturbed one ends.

    python -m trainers.verify_resume --config=gpt_small --config.train.precision=mixed_bfloat16

Trains N steps straight in one folder; in another it kills the training with SIGKILL in the middle of a step and
starts it again. Then weights, optimizer slots, random states and the losses of every step are compared bit for bit.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import recipes
from trainers.run_differences import differences_of, losses_of

_WORK_DIR = flags.DEFINE_string(
    "work_dir", None, "Where the two runs are kept; a temporary folder by default."
)
_STEPS = flags.DEFINE_integer("steps", 40, "Steps to train.", lower_bound=4)
_CONFIG = flags.DEFINE_string(
    "config", None, "Recipe; --config.FIELD=VALUE and --corpus are passed on to train."
)
SECONDS_TO_WAIT = 1800


def prepare(argv):
    """Keeps back what belongs to `train`; it is checked here, so that a typo is answered at once."""
    global _passed_on
    recipes.resolve_flags(argv)
    ours = {"--work_dir", "--steps", "--config", "--help", "--helpfull", "--helpshort"}
    _passed_on = [a for a in argv[1:] if a.startswith("--") and a.split("=")[0] not in ours]
    return [argv[0], *[a for a in argv[1:] if a not in _passed_on]]


_passed_on: list[str] = []


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Write every flag as --name=value.")
    if not _CONFIG.value:
        raise UserError("--config is missing. Give a recipe, for example --config=gpt_small.")
    from tflm.run import RunFolder

    work_dir = Path(_WORK_DIR.value or tempfile.mkdtemp(prefix="tflm_verify_"))
    straight, broken = work_dir / "straight", work_dir / "broken"
    for folder in (straight, broken):
        shutil.rmtree(folder, ignore_errors=True)
    steps = _STEPS.value
    # A checkpoint at every quarter; the kill comes after the second, between two checkpoints.
    quarter = max(steps // 4, 1)
    command = [
        *(sys.executable, "-m", "trainers.train", f"--config={_CONFIG.value}"),
        *_passed_on,
        "--config.train.epochs=0",
        *(f"--config.train.steps={steps}", f"--config.train.eval_every={quarter}"),
        *("--config.train.log_every=1", "--config.train.keep_checkpoints=8"),
    ]
    print(f"straight: {steps} steps in {straight}", flush=True)
    _finish(_start(command, straight))
    # What the recipe leaves open was measured, and might be measured otherwise.
    measured = RunFolder(straight).read_experiment()["train"]
    command += [f"--config.train.{name}={measured[name]}" for name in ("precision", "jit_compile")]
    print(f"broken: killed after a step past {2 * quarter}, in {broken}", flush=True)
    killed_at = _kill_after(_start(command, broken), broken, 2 * quarter)
    print(f"killed with SIGKILL in step {killed_at + 1}; started again", flush=True)
    _finish(_start(command, broken))
    differences = differences_of(straight, broken)
    if differences:
        print("FAILED: the two runs differ:")
        for line in differences[:20]:
            print(f"  {line}")
        return 1
    print(f"passed: weights, optimizer, random states and {steps} losses are equal bit for bit")
    if not _WORK_DIR.value:
        shutil.rmtree(work_dir)
    return 0


def _start(command, folder):
    environment = dict(os.environ)
    return subprocess.Popen([*command, f"--run_dir={folder}"], env=environment)


def _finish(process):
    if process.wait() != 0:
        raise UserError(
            f"The training ended with exit code {process.returncode}; see its output above."
        )


def _kill_after(process, folder, step: int) -> int:
    """Kills the process as soon as a step after `step` is logged, and returns the last step logged."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise UserError(
                f"The training ended by itself with exit code {process.returncode}. Give more --steps."
            )
        last = max(losses_of(folder), default=0)
        if last > step:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return last
        time.sleep(0.01)
    process.kill()
    raise UserError(
        f"No step was logged in {SECONDS_TO_WAIT} s. Is the recipe too large for this machine?"
    )


def run():
    program.run(main, prepare=prepare)


if __name__ == "__main__":
    run()
