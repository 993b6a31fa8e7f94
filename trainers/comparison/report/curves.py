"""The curves of a training, as panels: the same quantity against steps, tokens and time."""

import math

from trainers.comparison.report import charts
from trainers.comparison.report.markup import Markup
from trainers.comparison.runs import RunSummary

MAX_POINTS = 300  # of one line: more are not seen, and make the page heavy
AXES = (("step", "steps"), ("tokens", "tokens seen"), ("seconds", "time in training steps"))


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


def _validation_loss(line: dict) -> float | None:
    if line.get("num_tokens"):
        return line["nats"] / line["num_tokens"]
    return line.get("loss")


def _panels(name: str, runs: list[tuple[int, RunSummary]], training, validation) -> list[Markup]:
    panels = []
    for key, x_name in AXES:
        lines = []
        for series, run in runs:
            for is_training, source, value in (
                (True, run.training, training),
                (False, run.validation, validation),
            ):
                points = [(line.get(key), value(line)) for line in source]
                points = thinned([p for p in points if None not in p and math.isfinite(p[1])])
                if points:
                    x, y = zip(*points, strict=True)
                    lines.append({"series": series, "x": x, "y": y, "is_training": is_training})
        if lines:
            panels.append(charts.curves(f"{name} against {x_name}", x_name, name.lower(), lines))
    return panels


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MAX_POINTS: neighbours are replaced by their average."""
    if len(points) <= MAX_POINTS:
        return points
    width = -(-len(points) // MAX_POINTS)
    groups = [points[i : i + width] for i in range(0, len(points), width)]
    return [
        tuple(sum(values) / len(group) for values in zip(*group, strict=True)) for group in groups
    ]
