"""The numbers of word vectors on a terminal."""

import math
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from tflm.metrics.analogies import METHODS
from trainers.comparison.report import numbers

TOTALS = ("semantic", "syntactic", "total")


def line(name: str, value: str) -> str:
    """One figure, in line with the others."""
    return f"{name + ':':<22}{value}"


def neighbour_lines(nearest: dict) -> list[str]:
    """A line for every word: its neighbours with their cosines."""
    return [
        line(word, ", ".join(f"{other} {cosine:.2f}" for other, cosine in neighbours or ()))
        if neighbours is not None
        else line(word, "not a word of the vectors")
        for word, neighbours in nearest.items()
    ]


def renderables(result: dict) -> list:
    """What `word_vectors.evaluate` measured, in its order: lines (str) and tables of rich.

    Args:
        result: its dict.
    """
    words, known = result["words"], result["known_words"]
    of = f" of {known:,} (--limit)" if known > words else ""
    shown = [line("words", f"{words:,}{of}, {result['dim']:,} dimensions")]
    if "similarity" in result:
        shown.append(_similarity_table(result["similarity"]))
    for file, score in result.get("analogies", {}).items():
        shown.append(_analogy_table(file, score))
    shown += neighbour_lines(result.get("nearest", {}))
    if "probe" in result:
        shown += _probe_lines(result["probe"])
    return shown


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in (first, *others):
        table.add_column(heading, justify="left" if heading == first else "right", no_wrap=True)
    return table


def _similarity_table(scores: dict) -> Table:
    table = _table("similarity", "Spearman", "OOV as 0", "Pearson", "pairs", "found", "OOV")
    for file, score in scores.items():
        table.add_row(
            Text(Path(file).name),
            _correlation(score["spearman"]),
            _correlation(score["spearman_with_oov"]),
            _correlation(score["pearson"]),
            *(f"{score[name]:,}" for name in ("pairs", "found", "oov")),
        )
    return table


def _correlation(value: float) -> str:
    return numbers.MISSING if math.isnan(value) else f"{value:.4f}"


def _analogy_table(file: str, score: dict) -> Table:
    table = _table(Path(file).name, *METHODS, "questions", "found", "OOV")
    rows = list(score["categories"].items())
    totals = [(name, score[name]) for name in TOTALS if name in score]
    for name, counts in rows + totals:
        if counts is totals[0][1]:
            table.add_section()
        table.add_row(
            Text(name),
            *(_accuracy(counts, method) for method in METHODS),
            *(f"{counts[key]:,}" for key in ("questions", "found", "oov")),
        )
    return table


def _accuracy(counts: dict, method: str) -> str:
    return numbers.share(counts[method] / counts["found"] if counts["found"] else None)


def _probe_lines(probe: dict) -> list[str]:
    lines = [
        line("probe accuracy", numbers.share(probe["accuracy"])),
        line("most frequent label", numbers.share(probe["majority"])),
        line(
            "probe texts",
            f"{probe['train_texts']:,} to learn from, {probe['test_texts']:,} to be tested on, "
            f"{probe['classes']:,} labels",
        ),
        line(
            "without a known word",
            f"{probe['train_unknown']:,} and {probe['test_unknown']:,} texts; "
            f"{numbers.share(probe['known_words'])} of the tested words are known",
        ),
    ]
    if not probe["converged"]:
        lines.append(line("", "The fit did not come to its end; the accuracy may be low."))
    return lines
