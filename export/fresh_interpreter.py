"""Runs an artifact in an interpreter of its own, which knows nothing of this project: see `open_artifact.py` and
`open_translator.py`."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TIME_LIMIT_SECONDS = 1800


@dataclasses.dataclass
class Proof:
    """What was measured, and what of it is past its threshold (one sentence each; empty: proved)."""

    figures: dict
    failures: list[str]
    signatures: dict


class ProofFailed(Exception):  # noqa: N818
    """The artifact could not even be opened and run; says why in one line."""


def ask(
    path: Path, kind: str, request: dict, arrays: dict, script: str = "open_artifact.py"
) -> tuple[dict, dict]:
    """Runs `script`, which lies beside this file, in a fresh interpreter."""
    with tempfile.TemporaryDirectory(prefix="tflm_proof_") as folder:
        folder = Path(folder)
        files = {name: str(folder / name) for name in ("arrays", "results", "answer")}
        files = {name: f"{file}.npz" for name, file in files.items() if name != "answer"} | {
            "answer": f"{folder / 'answer'}.json"
        }
        np.savez(files["arrays"], **arrays)
        request = request | files | {"path": str(path), "format": kind}
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        # Speeds are those of the processor, whatever else the machine has.
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        program = str(Path(__file__).with_name(script))
        command = [sys.executable, program, str(folder / "request.json")]
        try:
            finished = subprocess.run(  # noqa: S603
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIME_LIMIT_SECONDS,
                env=environment,
            )
        except subprocess.TimeoutExpired as error:
            raise ProofFailed(f"it did not answer within {TIME_LIMIT_SECONDS} s") from error
        if finished.returncode:
            lines = finished.stderr.strip().splitlines() or ["no message"]
            raise ProofFailed(
                f"a fresh interpreter could not run it (exit {finished.returncode}): {lines[-1]}"
            )
        answer = json.loads(Path(files["answer"]).read_text(encoding="utf-8"))
        with np.load(files["results"], allow_pickle=False) as file:
            return answer, {name: file[name] for name in file.files}
