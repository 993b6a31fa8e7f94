"""A search over the fields of a recipe: trial after trial, each a run folder.

<folder>/search.json       what is searched, and the record of all trials; written before and after each
<folder>/trial_0000/       a run folder as any other
<folder>/events.*          what TensorBoard's HParams page needs
"""

import dataclasses
import gc
import json
import math
from pathlib import Path

from tflm.errors import UserError
from trainers import experiment as experiments
from trainers.experiment import Experiment
from trainers.search import hparams, oracle, space
from trainers.search.oracle import SCORE, SECONDS, WORKER, Settings

FILE_NAME = "search.json"
COMPLETED, FAILED, STOPPED = "COMPLETED", "FAILED", "STOPPED"


@dataclasses.dataclass
class TrialResult:
    """What is known of one run folder.

    Attributes:
        values: field -> value.
        score: of its best validation; None where it failed or has none yet.
        steps, seconds: of its training so far.
        message: why it failed.
    """

    run_dir: Path
    values: dict
    score: float | None
    steps: int
    seconds: float
    message: str | None = None


@dataclasses.dataclass
class SearchResult:
    """
    Attributes:
        trials: a run folder each, the best first, failed ones last.
        signal: the number of the signal that ended the search, else None.
    """

    score_name: str
    trials: list[TrialResult]
    signal: int | None = None

    @property
    def best(self) -> TrialResult | None:
        return self.trials[0] if self.trials and self.trials[0].score is not None else None


class Search:
    """A search in a folder, from its beginning or from where it stands there.

    Args:
        experiment: the recipe; it is left as it is.
        dimensions: of `space.parse`.
        tuner, seed, factor: see `oracle.Settings`.
        folder: made where it is missing.
        say: told what happens, a line at a time.

    Raises:
        UserError: where the recipe or the search cannot be, and where the folder holds another search.
    """

    def __init__(self, experiment: Experiment, dimensions, tuner, seed, factor, folder, say):
        from trainers import objectives

        experiments.check(experiment)
        self.experiment, self.dimensions, self.say = experiment, dimensions, say
        self.folder = Path(folder)
        train = experiment.train
        if tuner == "hyperband":
            _check_steps(train, dimensions)
        num_slices = math.ceil(train.steps / train.eval_every) if tuner == "hyperband" else 1
        self.settings = Settings(tuner, seed, num_slices, factor)
        oracle.check(self.settings)
        self.score_name = objectives.build(experiment.objective).score_name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.record = self._read()

    def run(self, max_trials: int | None) -> SearchResult:
        """Trains trial after trial.

        Args:
            max_trials: of them all, those of earlier calls too; None for as many as the tuner wants.
        """
        hparams.write_search(self.folder, self.dimensions, self.score_name)
        while True:
            guide = self._oracle()
            if not guide.ongoing_trials and max_trials and len(guide.trials) >= max_trials:
                return self.result()
            trial = guide.create_trial(WORKER)
            if trial.status == STOPPED:
                return self.result()
            self._write(guide)
            signal = self._train(guide, trial)
            if signal is not None:
                return dataclasses.replace(self.result(), signal=signal)
            try:
                guide.end_trial(trial)
            except RuntimeError as error:  # KerasTuner's, after so many failures in a row
                raise UserError(
                    f"{oracle.FAILURES_IN_A_ROW} trials in a row failed, the last one so: {trial.message} "
                    "Search elsewhere, in another --folder."
                ) from error
            self._write(guide)
            gc.collect()  # models hold themselves in circles

    def _train(self, guide, trial) -> int | None:
        """Trains a trial as far as it should go; returns the signal that ended it."""
        from trainers import callbacks, fit, out_of_memory

        values = self._values_of(trial)
        run_dir = self._run_dir(guide, trial)
        shown = ", ".join(f"{field}={value}" for field, value in values.items())
        self.say(f"trial {trial.trial_id}: {shown}")
        experiment = space.with_values(self.experiment, values)
        try:
            experiments.check(experiment)
            hparams.write_trial(run_dir, values)
            trained = fit.train(experiment, run_dir, until=self._until(trial))
        except UserError as error:
            its_own = isinstance(error, callbacks.Diverged | out_of_memory.DoesNotFit)
            if not its_own and _can_be_trained(experiment):
                raise  # it is not this trial's fault
            trial.status, trial.message = FAILED, str(error)
            self.say(f"trial {trial.trial_id} failed: {error}")
            if run_dir.exists():
                hparams.write_trial(run_dir, values, has_failed=True)
            return None
        if trained.signal is not None:
            return trained.signal
        progress = trained.progress
        numbers = {SCORE: progress.best_score, SECONDS: progress.seconds}
        guide.update_trial(trial.trial_id, numbers, step=progress.step)
        trial.status = COMPLETED
        hparams.write_trial(run_dir, values, progress.best_score, progress.step)
        return None

    def _until(self, trial) -> int | None:
        slices = trial.hyperparameters.values.get("tuner/epochs", self.settings.num_slices)
        return (
            None
            if slices >= self.settings.num_slices
            else slices * self.experiment.train.eval_every
        )

    def _values_of(self, trial) -> dict:
        values = trial.hyperparameters.values  # KerasTuner makes 0 and 1 of bools
        return {d.field: d.kind(values[d.field]) for d in self.dimensions}

    def _run_dir(self, guide, trial) -> Path:
        return self.folder / f"trial_{oracle.root_of(guide, trial)}"

    def result(self) -> SearchResult:
        """What the record holds."""
        guide, found = self._oracle(), {}
        for trial in guide.trials.values():
            run_dir = self._run_dir(guide, trial)
            if trial.status == COMPLETED:
                seconds = trial.metrics.get_last_value(SECONDS)
                found[run_dir] = TrialResult(
                    run_dir, self._values_of(trial), trial.score, trial.best_step, seconds
                )
            elif run_dir not in found:
                values = self._values_of(trial)
                found[run_dir] = TrialResult(run_dir, values, None, 0, 0.0, trial.message)
        trials = sorted(found.values(), key=lambda t: (t.score is None, t.score or 0.0))
        return SearchResult(self.score_name, trials)

    def _oracle(self):
        return oracle.oracle_of(self.settings, self.dimensions, self.record)

    def _wanted(self) -> dict:
        return {
            "tuner": dataclasses.asdict(self.settings),
            "search": {d.field: d.text for d in self.dimensions},
            "experiment": experiments.to_dict(self.experiment),
        }

    def _read(self) -> dict | None:
        file = self.folder / FILE_NAME
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            record = stored.pop("record")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise UserError(f"{file} is damaged: {error!r}. Give another --folder.") from error
        # Through JSON and the dataclasses, as what is stored: tuples are lists, a new field has its default.
        wanted = json.loads(json.dumps(self._wanted()))
        stored["experiment"] = json.loads(
            json.dumps(experiments.to_dict(experiments.from_dict(stored["experiment"])))
        )
        _refuse_another(self.folder, _flat(stored), _flat(wanted))
        return record

    def _write(self, guide) -> None:
        self.record = json.loads(json.dumps(oracle.record_of(guide)))
        file = self.folder / FILE_NAME
        partial = file.with_name(f".{FILE_NAME}.partial")
        text = json.dumps(self._wanted() | {"record": self.record}, indent=1)
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(file)


def _check_steps(train, dimensions) -> None:
    if train.epochs:
        raise UserError(
            "Hyperband must know how long a training is before it begins. "
            "Set --config.train.epochs=0 and --config.train.steps."
        )
    for dimension in dimensions:
        if dimension.field in ("train.steps", "train.epochs", "train.eval_every"):
            raise UserError(
                f"Hyperband itself decides how long a trial is trained. Leave out --search={dimension.field}."
            )


def _can_be_trained(experiment: Experiment) -> bool:
    try:
        experiments.check(experiment)
    except UserError:
        return False
    return True


def _flat(values: dict, path: str = "") -> dict:
    flat = {}
    for name, value in values.items():
        where = f"{path}.{name}" if path else name
        flat |= _flat(value, where) if isinstance(value, dict) else {where: value}
    return flat


def _refuse_another(folder: Path, stored: dict, wanted: dict) -> None:
    for name in [*stored, *wanted]:
        if stored.get(name) != wanted.get(name) and name != "experiment.data.workers":
            raise UserError(
                f"{folder} holds a search with {name}={stored.get(name)!r}, but this command asks for "
                f"{wanted.get(name)!r}. Give the same, or another --folder."
            )
