"""What cross-validation and a search print."""

from rich import box
from rich.table import Table

from trainers.comparison.report import numbers
from trainers.search.folds import CrossValidation
from trainers.search.trials import SearchResult


def show(table: Table) -> None:
    """Prints a table; a file or a pipe has no width to keep to."""
    from rich.console import Console

    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)


def table_with(headings: dict[str, str]) -> Table:
    """An empty table of heading -> justification."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, justify in headings.items():
        table.add_column(heading, justify=justify)
    return table


def fold_table(result: CrossValidation) -> Table:
    """One row a fold, and below them the mean and the deviation."""
    name = result.score_name.replace("_", " ")
    columns = {"fold": "left", "steps": "right", "training": "right"}
    table = table_with(columns | {f"{name}, last": "right", f"{name}, best": "right"})
    for fold in result.folds:
        table.add_row(
            str(fold.number),
            f"{fold.steps:,}",
            numbers.duration(fold.seconds),
            numbers.bits(fold.metrics[result.score_name]),
            numbers.bits(fold.best),
        )
    table.add_section()
    summary = result.summary()
    pairs = [summary[result.score_name], summary[f"best_{result.score_name}"]]
    for i, what in enumerate(("mean", "deviation")):
        table.add_row(what, "", "", *(numbers.bits(pair[i]) for pair in pairs))
    return table


def fold_lines(result: CrossValidation, eval_tokens: int) -> list[str]:
    """The result in a sentence, and what to know about it.

    Args:
        eval_tokens: of the TrainConfig.
    """
    mean, deviation = result.summary()[result.score_name]
    lines = [
        f"{result.score_name} {mean:.4f} +- {deviation:.4f} (mean and standard deviation of {result.num_folds} folds, "
        "after the last step). The best one was chosen by the fold that it is the score of."
    ]
    if eval_tokens:
        lines.append(f"Scored on {eval_tokens:,} tokens of each fold at most (train.eval_tokens).")
    return lines


def trial_table(result: SearchResult) -> Table:
    """One row a run folder, the best first; for those that failed, why."""
    fields = list(result.trials[0].values) if result.trials else []
    columns = {"trial": "left", result.score_name.replace("_", " "): "right"}
    columns |= {"steps": "right", "training": "right"}
    table = table_with(columns | {field: "right" for field in fields})
    for trial in result.trials:
        values = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in trial.values.values()]
        score = numbers.bits(trial.score)
        if trial.score is None:
            score = "failed" if trial.message else "under way"
        table.add_row(
            trial.run_dir.name, score, f"{trial.steps:,}", numbers.duration(trial.seconds), *values
        )
    return table


def failures(result: SearchResult) -> list[str]:
    """Why trials failed, one line each."""
    return [f"{t.run_dir.name} failed: {t.message}" for t in result.trials if t.message]
