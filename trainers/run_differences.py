"""How two run folders differ: weights, optimizer, random states and losses, bit for bit."""

import json
from pathlib import Path


def losses_of(folder: Path) -> dict[int, float]:
    """The loss of every step that was logged; a line that is just being written is left out."""
    losses = {}
    try:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return losses
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # being written
            continue
        if entry["kind"] == "train":
            losses[entry["step"]] = entry["loss"]
    return losses


def differences_of(straight: Path, broken: Path) -> list[str]:
    """How the two run folders differ: last checkpoint array by array, and losses step by step."""
    from tflm.run import RunFolder

    one, other = RunFolder(straight).load_latest(), RunFolder(broken).load_latest()
    differences = []
    if one.step != other.step:
        differences.append(f"last checkpoint: step {one.step} and step {other.step}")
    for part in ("model", "training"):
        left, right = getattr(one, part), getattr(other, part)
        for name in sorted(set(left) | set(right)):
            if name not in left or name not in right:
                differences.append(f"{part}: {name} is on one side only")
            elif left[name].tobytes() != right[name].tobytes():
                differences.append(f"{part}: {name} differs")
    left, right = losses_of(straight), losses_of(broken)
    for step in sorted(set(left) | set(right)):
        if left.get(step) != right.get(step):
            differences.append(f"loss of step {step}: {left.get(step)} and {right.get(step)}")
    return differences
