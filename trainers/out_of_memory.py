"""A step that does not fit into the memory: smaller micro-batches of the same batches.

The gradients of micro-batches add up to that of the batch, so the number of rows that are computed at once is a matter
of memory alone. Where they do not fit, the training goes back to the last checkpoint (what the failed step has touched
is unknown) and on from there with half of them; batches, schedule and position in the data stay what they were. The
run folder's experiment.json then has the accumulation that fits, with which a resumed run begins.
"""

import contextlib
import gc
import re

import numpy as np

from tflm.errors import UserError
from trainers.terminal import say, warn

# What TensorFlow and JAX raise for a lack of memory, among other things.
BACKEND_ERRORS = ("ResourceExhaustedError", "InternalError", "XlaRuntimeError", "JaxRuntimeError")
# Their words for it. TensorFlow also calls a full disk an exhausted resource.
WORDS = re.compile(r"out of memory|\bOOM\b|MemoryError|RESOURCE_EXHAUSTED|failed to allocate", re.I)
FULL_DISK = re.compile(r"no space left|quota exceeded", re.I)

CARRY = re.compile(r"(?P<before>.*carry_)(?P<index>\d+)(?P<after>_[^/]*)")


class OutOfMemory(Exception):
    """
    Attributes:
        step: the last one that was finished.
    """

    def __init__(self, step: int):
        super().__init__(f"Out of memory after step {step}.")
        self.step = step


class DoesNotFit(UserError):
    """There are no smaller micro-batches left to try."""


def until_it_fits(attempt, experiment, folder):
    """Calls attempt(), again with smaller micro-batches whenever it raises OutOfMemory; returns what it gives.

    Args:
        attempt: goes on from the last checkpoint of the run folder.
        experiment: its `train.accumulation` is changed, in the run folder too.
        folder: RunFolder.
    """
    from trainers import experiment as experiments

    while True:
        try:
            return attempt()
        except OutOfMemory as error:
            finished = error.step
        gc.collect()  # the model that did not fit
        last = folder.load_latest(say=warn)
        warn(halve(experiment, finished, last.step if last else 0))
        if folder.exists():
            folder.write_experiment(experiments.to_dict(experiment))


@contextlib.contextmanager
def caught(progress=None):
    """Turns every backend's lack of memory inside the block into OutOfMemory.

    Args:
        progress: trainers.callbacks.Progress; None before the first step.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(progress.step if progress else 0) from error


def is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    text = str(error)
    is_backends = type(error).__name__ in BACKEND_ERRORS
    return is_backends and bool(WORDS.search(text)) and not FULL_DISK.search(text)


def next_accumulation(batch_size: int, accumulation: int) -> int | None:
    """At least twice as many micro-batches, so that they divide the batch; None where each has one row."""
    candidates = range(2 * accumulation, batch_size + 1)
    return next((a for a in candidates if batch_size % a == 0), None)


def halve(experiment, step: int, from_step: int) -> str:
    """Sets `train.accumulation` to the next one.

    Args:
        step: the last one that was finished. from_step: of the last checkpoint, 0 without one.

    Returns:
        What is to be said.

    Raises:
        UserError: where nothing is left to halve.
    """
    from trainers import objectives
    from trainers.train_step import updates_rows

    train = experiment.train
    where = f"Out of memory after step {step:,}"
    if updates_rows(objectives.build(experiment.objective)):
        raise DoesNotFit(
            f"{where}, with batches of {train.batch_size} that this objective cannot divide. "
            "Lower --config.train.batch_size, or give the process more memory."
        )
    rows = train.batch_size // train.accumulation
    accumulation = next_accumulation(train.batch_size, train.accumulation)
    if accumulation is None:
        raise DoesNotFit(
            f"{where}, with a single row of {train.sequence_length} tokens at a time. "
            "Lower --config.train.sequence_length, or take a smaller model or a machine with more memory."
        )
    train.accumulation = accumulation
    start = f"Back to the checkpoint of step {from_step:,}" if from_step else "From the beginning"
    return (
        f"{where}, with {_rows(rows)} at once. {start}, with {_rows(train.batch_size // accumulation)} "
        f"at once and train.accumulation={accumulation}: the batches stay those of {_rows(train.batch_size)}."
    )


def _rows(count: int) -> str:
    return f"{count:,} row" + "s" * (count != 1)


def keep_what_fits(train, stored) -> None:
    """Goes on with the accumulation of the run folder where the command asks for fewer micro-batches.

    Args:
        train: TrainConfig of the command. stored: that of the run folder.
    """
    same_batch = train.batch_size == stored.batch_size
    if same_batch and stored.accumulation > train.accumulation:
        say(f"train.accumulation is {stored.accumulation}, which fitted into the memory.")
        train.accumulation = stored.accumulation


def recut(arrays: dict[str, np.ndarray], accumulation: int) -> dict[str, np.ndarray]:
    """Arrays of a checkpoint for another number of micro-batches: each row keeps what it carries.

    Args:
        arrays: by path. Carried states have one array for each micro-batch, `carry_I_NAME` (rows, ...); the others
            stay as they are.
        accumulation: micro-batches that the states are wanted for.
    """
    parts, rest = {}, {}
    for path, value in arrays.items():
        match = CARRY.fullmatch(path)
        if match:
            parts.setdefault((match["before"], match["after"]), {})[int(match["index"])] = value
        else:
            rest[path] = value
    for (before, after), by_index in parts.items():
        whole = np.concatenate([by_index[i] for i in sorted(by_index)])
        for i, part in enumerate(np.split(whole, accumulation)):
            rest[f"{before}{i}{after}"] = part
    return rest
