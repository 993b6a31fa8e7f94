"""The comparison of runs that write a target for a source, on a terminal."""

from rich import box
from rich.table import Table
from rich.text import Text

from trainers.comparison.report import numbers
from trainers.comparison.table import stale_artifacts
from trainers.comparison.translations import TranslationComparison, TranslationSummary
from trainers.evaluation.translation import FIGURES


def table_of(comparison: TranslationComparison, width: int | None = None) -> Table:
    """One row a run, the best first; `width` of the terminal is not asked for, there are few columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, is_text in headings(comparison):
        table.add_column(
            Text(heading), justify="left" if is_text else "right", no_wrap=True, vertical="top"
        )
    for place, run in enumerate(comparison.runs, 1):
        name = Text.assemble((run.name, "bold" if place == 1 else ""), "\n", (run.family, "dim"))
        cells = [str(place), name, *cells_of(run)]
        cells += ["\n".join(column) for column in artifacts_of(run)]
        table.add_row(*cells)
    return table


def headings(comparison: TranslationComparison) -> list[tuple[str, bool]]:
    """(heading, whether the column holds text) of all columns."""
    scores = [FIGURES[key] for key in FIGURES if key in comparison.runs[0].score]
    figures = ["parameters", *scores, "nats\nper token", "training\ntime", "tokens/s,\ndecoding"]
    columns = [("#", False), ("model", True), *((name, False) for name in figures)]
    return [*columns, ("exported as", True), ("size", False)]


def cells_of(run: TranslationSummary) -> list[str]:
    """The figures of a run."""
    return [
        numbers.count(run.parameters),
        *(f"{run.score[key]:.2f}" for key in FIGURES if key in run.score),
        f"{run.score['nats_per_token']:.4f}",
        numbers.duration(run.seconds),
        numbers.speed(run.speed),
    ]


def artifacts_of(run: TranslationSummary) -> list[list[str]]:
    """Names and sizes of what was exported."""
    return [
        [artifact.name for artifact in run.artifacts],
        [numbers.size(artifact.num_bytes) for artifact in run.artifacts],
    ]


def notes_of(comparison: TranslationComparison) -> list[str]:
    """What the table cannot say by itself, one line each."""
    best, search = comparison.runs[0].score, comparison.search
    notes = [
        f"{comparison.pairs:,} pairs of the {comparison.split} split, beam {search.beam_size}, length penalty "
        f"{search.length_penalty:g}; speed on this machine, compilation not counted, batches of like length."
    ]
    for key in best:
        if key.endswith("_signature"):
            notes.append(f"{FIGURES.get(key.removesuffix('_signature'), 'ROUGE')}: {best[key]}")
    for count, scores in best.get("lead", {}).items():
        figures = ", ".join(f"{FIGURES[k]} {scores[k]:.2f}" for k in FIGURES if k in scores)
        notes.append(f"The first {count} sentences of the sources have {figures}.")
    for run in comparison.runs:
        if not run.finished:
            notes.append(f"{run.name} did not train to its end.")
        notes += stale_artifacts(run)
    return notes
