"""What the benchmarks share: running the programs that they compare, and reading what a training logged."""

import json
import statistics
import subprocess
from pathlib import Path


def run(command: list, folder: Path | None = None) -> str:
    """What a program writes to stdout; SystemExit with its last words where it fails.

    Args:
        folder: where it runs; None for here.
    """
    command = list(map(str, command))
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:4]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def log_of(run_dir: Path) -> list[dict]:
    """The lines of a run folder's metrics.jsonl."""
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def median_speed(log: list[dict], after_step: int) -> float:
    """Tokens per second, the median of a training's lines after so many steps."""
    return statistics.median(
        line["tokens_per_second"]
        for line in log
        if line["kind"] == "train" and line["step"] > after_step
    )
