"""The comparison on a terminal."""

from rich import box
from rich.table import Table
from rich.text import Text

from trainers.comparison.ranking import Comparison
from trainers.comparison.report import numbers
from trainers.comparison.runs import RunSummary


def table_of(comparison: Comparison, width: int | None = None) -> Table:
    """One row a run, the best first; what was exported of it stands beside it, one line each.

    Args:
        width: columns of the terminal; where they do not suffice, the numbers that matter least are left out.
    """
    from rich.console import Console

    places = {id(run): place for place, run in enumerate(comparison.ranked, 1)}
    columns = _columns()
    for dropped in (None, "tokens\nseen", "<unk>", "perplexity\nper word", "parameters", "size"):
        columns.pop(dropped, None)
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading, (justify, _) in columns.items():
            table.add_column(Text(heading), justify=justify, no_wrap=True, vertical="top")
        for run in comparison.runs:
            place = places.get(id(run))
            table.add_row(*(cell(run, place) for _, cell in columns.values()))
        if width is None or Console(width=1000).measure(table).maximum <= width:
            break
    return table


def _columns() -> dict:
    """heading -> (justification, (run, its place or None) -> cell)."""

    def artifacts(text):
        return lambda run, place: Text("\n".join(text(artifact) for artifact in run.artifacts))

    def score(name, text):
        return lambda run, place: text((run.score or {}).get(name))

    return {
        "#": ("right", lambda run, place: str(place or numbers.MISSING)),
        "model": ("left", _name),
        "parameters": ("right", lambda run, place: numbers.count(run.parameters)),
        "bits\nper byte": ("right", _bits),
        "perplexity\nper word": ("right", score("perplexity_per_word", numbers.perplexity)),
        "<unk>": ("right", score("unknown_share", numbers.share)),
        "training\ntime": ("right", lambda run, place: numbers.duration(run.seconds)),
        "tokens\nseen": ("right", lambda run, place: numbers.count(run.tokens)),
        "exported as": ("left", artifacts(lambda a: a.name)),
        "size": ("right", artifacts(lambda a: numbers.size(a.num_bytes))),
        "tokens/s,\n1 thread": ("right", artifacts(lambda a: numbers.speed(a.tokens_per_second))),
        "agree-\nment": ("right", artifacts(lambda a: numbers.share(a.agreement))),
    }


def _name(run: RunSummary, place: int | None) -> Text:
    return Text.assemble((run.name, "bold" if place == 1 else ""), "\n", (run.family, "dim"))


def _bits(run: RunSummary, place: int | None) -> Text:
    value = (run.score or {}).get("bits_per_byte")
    return Text(numbers.bits(value), "bold" if place == 1 else "")


def notes_of(comparison: Comparison) -> list[str]:
    """What the table cannot say by itself, one line each."""
    notes = []
    for run in comparison.runs:
        if run.unranked is not None:
            notes.append(f"{run.name} is not ranked: {run.unranked}.")
        if not run.finished:
            notes.append(f"{run.name} did not train to its end.")
        notes += stale_artifacts(run)
    missing = [run.name for run in comparison.runs if not run.artifacts]
    if missing:
        notes.append(
            f"Not exported yet: {', '.join(missing)}. python -m export.export_model --run_dir=RUN adds "
            "size, speed and agreement."
        )
    return notes


def stale_artifacts(run) -> list[str]:
    """A line where something was exported of another step than the best one."""
    old = [a.name for a in run.artifacts if a.step is not None and a.step != run.step]
    if not old:
        return []
    return [
        f"{run.name}: {', '.join(old)} was exported from another step than the best one, "
        f"{run.step:,}; export it again."
    ]
