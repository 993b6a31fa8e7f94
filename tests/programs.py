"""Starting the project's programs from tests, as a user would, without paying for TensorFlow's import every time.

Each start is a process of its own, forked from a server that has imported TensorFlow already (Python's forkserver).
"""

import contextlib
import dataclasses
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import flags

from tests.conftest import ROOT

SECONDS = 240


@dataclasses.dataclass
class Finished:
    """`code` is negative for a process that a signal killed, as in subprocess."""

    code: int
    out: str
    err: str


class Program:
    """A program that runs.

    Args:
        module: as in `python -m`.
        arguments: of the command line.
        stdin: what it can read.
    """

    def __init__(self, module: str, *arguments, stdin: str = ""):
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self._out, self._err = folder / "out", folder / "err"
        (folder / "in").write_text(stdin, encoding="utf-8")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.preloaded"])
        arguments = [str(argument) for argument in arguments]
        self.process = context.Process(
            target=_run, args=(module, arguments, str(folder), dict(os.environ))
        )
        self.process.start()

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8") if self._out.exists() else ""

    def wait_for(self, condition) -> None:
        """Returns as soon as condition() is true."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline or not self.process.is_alive():
                raise RuntimeError(f"It did not come to that: {self.finish()}")
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def finish(self) -> Finished:
        self.process.join(SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        err = self._err.read_text(encoding="utf-8")
        finished = Finished(self.process.exitcode, self.out, err)
        self._folder.cleanup()
        return finished


def run_program(module: str, *arguments, stdin: str = "") -> Finished:
    return Program(module, *arguments, stdin=stdin).finish()


def run_python(*arguments, env: dict | None = None) -> subprocess.CompletedProcess:
    """A fresh interpreter, with nothing imported; None in `env` takes a variable away."""
    environment = {k: v for k, v in (os.environ | (env or {})).items() if v is not None}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def _run(module: str, arguments: list[str], folder: str, environment: dict) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for number, (name, mode) in enumerate((("in", os.O_RDONLY), ("out", None), ("err", None))):
        flags = mode if mode is not None else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(f"{folder}/{name}", flags, 0o600), number)
    # Python's own streams as well: those of the server are bound to other files.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@contextlib.contextmanager
def program_in_process(module: str):
    """The module of a program, for a test of one of its functions.

    Programs have flags of the same names, which one process cannot have twice: they are taken back at the end.
    """
    before = set(flags.FLAGS)
    sys.modules.pop(module, None)
    try:
        yield importlib.import_module(module)
    finally:
        flags.FLAGS.remove_flag_values(set(flags.FLAGS) - before)
        sys.modules.pop(module, None)
