"""K-fold cross-validation: K trainings, each of which holds another K-th of the documents back to validate on.

The document's content decides its fold (tflm/data/splits.py), and the tokenizer, too, is trained without the fold that
is held back. The test split is left alone by all of them.
"""

import copy
import dataclasses
import json
import statistics
from pathlib import Path

from trainers.experiment import Experiment

RESULTS_FILE = "cross_validation.json"


@dataclasses.dataclass
class FoldResult:
    """One fold's training.

    Attributes:
        number: from 1.
        steps, seconds: of the training, validation not counted.
        best: the best of its validations by the score that decides, which is that of the run folder's best checkpoint.
        metrics: of the last validation.
    """

    number: int
    run_dir: Path
    steps: int
    seconds: float
    best: float
    metrics: dict


@dataclasses.dataclass
class CrossValidation:
    """
    Attributes:
        score_name: the metric that decides; less is better.
        folds: those that are trained to their end.
        signal: the number of the signal that ended the work before that, else None.
    """

    score_name: str
    num_folds: int
    folds: list[FoldResult]
    signal: int | None = None

    def values(self, name: str) -> list[float]:
        """A metric of every fold, at its last validation."""
        return [fold.metrics[name] for fold in self.folds]

    def summary(self) -> dict[str, tuple[float, float]]:
        """metric -> (mean, deviation) over the folds, of the last validations; and of `best_<score>`."""
        shares = [k for k, v in self.folds[0].metrics.items() if isinstance(v, float)]
        values = {name: self.values(name) for name in shares}
        values[f"best_{self.score_name}"] = [fold.best for fold in self.folds]
        return {name: mean_and_deviation(numbers) for name, numbers in values.items()}

    def to_dict(self) -> dict:
        """As plain values."""
        folds = [dataclasses.asdict(fold) | {"run_dir": fold.run_dir.name} for fold in self.folds]
        summary = {
            name: {"mean": mean, "deviation": deviation}
            for name, (mean, deviation) in self.summary().items()
        }
        return {"score": self.score_name, "summary": summary, "folds": folds}


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    """The mean, and the standard deviation of a sample (n - 1), of at least two numbers."""
    return statistics.fmean(values), statistics.stdev(values)


def cross_validate(experiment: Experiment, num_folds: int, folder, say) -> CrossValidation:
    """Trains every fold in a run folder of its own, or goes on where an earlier call was interrupted.

    Args:
        experiment: of one training; it is left as it is.
        num_folds: K, at least 2.
        folder: <folder>/fold_1 to <folder>/fold_K are the runs; the numbers stand in <folder>/cross_validation.json.
        say: told which fold is next.

    Raises:
        UserError: as `fit.train`.
    """
    from trainers import fit, objectives

    folder = Path(folder)
    score_name = objectives.build(experiment.objective).score_name
    result = CrossValidation(score_name, num_folds, [])
    for fold in range(num_folds):
        run_dir = folder / f"fold_{fold + 1}"
        say(f"fold {fold + 1} of {num_folds}")
        own = copy.deepcopy(experiment)  # the training fills in what the text decides
        own.data = dataclasses.replace(own.data, folds=num_folds, fold=fold)
        trained = fit.train(own, run_dir)
        if trained.signal is not None:
            result.signal = trained.signal
            return result
        progress = trained.progress
        result.folds.append(
            FoldResult(
                number=fold + 1,
                run_dir=run_dir,
                steps=progress.step,
                seconds=progress.seconds,
                best=progress.best_score,
                metrics=trained.metrics,
            )
        )
    _write(folder / RESULTS_FILE, result.to_dict())
    return result


def _write(path: Path, values: dict) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
