"""KerasTuner's searches, of which only what decides the next trial is used: its Oracles.

An Oracle is made anew before every trial, from the record of all trials so far. The next trial is thus a function of
the record, and a search that was killed goes on as if it had not been.
"""

import dataclasses
import importlib.util

from tflm.errors import UserError, unknown_name

TUNERS = ("random", "hyperband", "bayesian")
WORKER = "tflm"
SCORE, SECONDS = "score", "seconds"
FAILURES_IN_A_ROW = 10  # after which a search is given up


@dataclasses.dataclass(frozen=True)
class Settings:
    """
    Attributes:
        tuner: one of TUNERS.
        seed: of the choice of trials.
        num_slices: of a whole training, each ending in a validation; Hyperband's unit.
        factor: Hyperband goes on with one in so many trials, for so many times the steps.
    """

    tuner: str
    seed: int = 0
    num_slices: int = 1
    factor: int = 3


def check(settings: Settings) -> None:
    """Raises UserError where the search cannot be made."""
    if settings.tuner not in TUNERS:
        raise unknown_name("--tuner", settings.tuner, TUNERS)
    wanted = ["keras_tuner"] + ["sklearn"] * (settings.tuner == "bayesian")
    for package in wanted:
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f'A search needs {package}, which is not installed: pip install "tflm[tune]".'
            )
    if settings.tuner == "hyperband" and settings.num_slices < settings.factor:
        raise UserError(
            f"Hyperband leaves trainings at their validations, and needs at least {settings.factor} of them. Received: "
            f"{settings.num_slices}. Lower --config.train.eval_every, or raise --config.train.steps."
        )


def oracle_of(settings: Settings, dimensions, record: dict | None):
    """An Oracle that stands where the record stands.

    Args:
        dimensions: of `space.parse`.
        record: what `record_of` gave, None at the beginning.
    """
    import keras_tuner
    from keras_tuner.engine import trial as trials

    hyperparameters = keras_tuner.HyperParameters()
    for dimension in dimensions:
        dimension.add_to(hyperparameters)
    past = (record or {}).get("trials", {})
    arguments = {
        "objective": keras_tuner.Objective(SCORE, "min"),
        "hyperparameters": hyperparameters,
        "allow_new_entries": False,
        "tune_new_entries": False,
        "max_consecutive_failed_trials": FAILURES_IN_A_ROW,
        # 0 would be taken for none. Bayesian search draws the points it starts from by what it is made with, and with
        # the trials' number these are others every time; everything else follows the record's seed.
        "seed": settings.seed + 1 + (len(past) if record else 0),
    }
    if settings.tuner == "hyperband":
        kind = keras_tuner.oracles.HyperbandOracle
        arguments |= {"max_epochs": settings.num_slices, "factor": settings.factor}
    else:
        oracles = keras_tuner.oracles
        kind = (
            oracles.RandomSearchOracle
            if settings.tuner == "random"
            else oracles.BayesianOptimizationOracle
        )
        arguments["max_trials"] = None  # counted by the search, so that there may be more later
    oracle = _kept_in_memory(kind)(**arguments)
    oracle.verbose = 0
    if record is not None:
        oracle.trials = {name: trials.Trial.from_state(state) for name, state in past.items()}
        oracle.set_state(record["oracle"])
    return oracle


def _kept_in_memory(kind: type) -> type:
    """The Oracle without its own files: they are not written whole or not at all, and the record has all of them."""
    return type(kind.__name__, (kind,), {"save": _nothing, "_save_trial": _nothing})


def _nothing(*arguments) -> None:
    pass


def record_of(oracle) -> dict:
    """All that an Oracle knows, as plain values."""
    trials = {name: trial.get_state() for name, trial in oracle.trials.items()}
    return {"oracle": oracle.get_state(), "trials": trials}


def root_of(oracle, trial) -> str:
    """The trial whose run folder this one goes on with: Hyperband's promoted trials are new ones."""
    while before := trial.hyperparameters.values.get("tuner/trial_id"):
        trial = oracle.trials[before]
    return trial.trial_id
