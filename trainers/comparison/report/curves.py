"""The curves of a training, as panels: the same quantity against tokens, time and operations.

Not against steps: those of different batches do not compare.
"""

import math

from trainers.comparison.report import charts, numbers
from trainers.comparison.report.markup import Markup
from trainers.comparison.runs import RunSummary

MAX_POINTS = 300  # of one line: more are not seen, and make the page heavy
# The axis' name, (run, line of metrics.jsonl) -> where it stands on it or None, and how its numbers are written.
AXES = (
    ("tokens seen", lambda run, line: line.get("tokens"), numbers.count),
    ("time in training steps", lambda run, line: line.get("seconds"), numbers.clock),
    ("operations in training steps", lambda run, line: _operations(run, line), numbers.operations),
)


def bits_per_byte(runs: list[tuple[int, RunSummary]]) -> list[Markup]:
    """Bits per byte of the language models."""
    return _panels(
        "Bits per byte",
        runs,
        training=lambda line: line.get("bits_per_byte"),
        validation=lambda line: line.get("bits_per_byte"),
    )


def loss(runs: list[tuple[int, RunSummary]]) -> list[Markup]:
    """Nats per token of language models, the loss of a pair for word vectors."""
    return _panels(
        "Loss", runs, training=lambda line: line.get("loss"), validation=_validation_loss
    )


def score(key: str, name: str, runs) -> list[Markup]:
    """A figure of the validation, such as BLEU, which has no line of the training."""
    return _panels(name, runs, training=lambda line: None, validation=lambda line: line.get(key))


def _validation_loss(line: dict) -> float | None:
    if "nats_per_token" in line:
        return line["nats_per_token"]
    if line.get("num_tokens"):
        return line["nats"] / line["num_tokens"]
    return line.get("loss")


def _panels(name: str, runs: list[tuple[int, RunSummary]], training, validation) -> list[Markup]:
    panels = []
    for x_name, place, x_text in AXES:
        lines = []
        for series, run in runs:
            for is_training, source, value in (
                (True, run.training, training),
                (False, run.validation, validation),
            ):
                points = [(place(run, line), value(line)) for line in source]
                points = thinned([p for p in points if None not in p and math.isfinite(p[1])])
                if points:
                    x, y = zip(*points, strict=True)
                    lines.append({"series": series, "x": x, "y": y, "is_training": is_training})
        if lines:
            title = f"{name} against {x_name}"
            panels.append(charts.curves(title, x_name, name.lower(), lines, x_text))
    return panels


def _operations(run: RunSummary, line: dict) -> float | None:
    if run.flops_per_token is None or line.get("tokens") is None:
        return None
    return run.flops_per_token * line["tokens"]


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MAX_POINTS: neighbours are replaced by their average."""
    if len(points) <= MAX_POINTS:
        return points
    width = -(-len(points) // MAX_POINTS)
    groups = [points[i : i + width] for i in range(0, len(points), width)]
    return [
        tuple(sum(values) / len(group) for values in zip(*group, strict=True)) for group in groups
    ]
