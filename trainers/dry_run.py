"""What a training will take, measured before it is begun: `trainers.train --dry_run`.

Everything is prepared as for the training, in a temporary folder that is removed again. A few real steps are made, a
part of the validation, one checkpoint, and of that checkpoint every export. (The token store stays in its cache, where
the training finds it.)
"""

import dataclasses
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
from tqdm import tqdm

from tflm.run import named_arrays
from trainers import experiment as experiments
from trainers import feed, fit, mfu
from trainers.experiment import Experiment
from trainers.machine import PeakMemory
from trainers.terminal import say

STEPS = 10  # that are timed, after the first, which compiles
VALIDATION_BATCHES = 8


@dataclasses.dataclass
class Measured:
    """
    Attributes:
        parameters: of the model.
        weights, slots: bytes of the model's variables, and of the optimizer's and whatever else is kept for training.
        working: bytes that steps need beside them: activations, gradients, compiled code.
        where: that `working` was measured in: "device" or "process".
        first_step: seconds of the first step of each shape, with compiling.
        step: seconds of one of the others, on average.
        validation: seconds of one validation.
        save, checkpoint: seconds and bytes of one checkpoint.
        tokens_per_step: of one update.
        mfu: share of the machine's matmul rate, or None.
        programs: that were compiled, one for each shape of a batch.
    """

    parameters: int
    weights: int
    slots: int
    working: int
    where: str
    first_step: float
    step: float
    validation: float
    save: float
    checkpoint: int
    tokens_per_step: int
    mfu: float | None
    programs: int = 1

    def seconds(self, train) -> float:
        """What the training of a TrainConfig will take, from its first step to its last checkpoint."""
        validations = math.ceil(train.steps / train.eval_every)
        steps = self.first_step + (train.steps - self.programs) * self.step
        return steps + validations * (self.validation + self.save)


def dry_run(experiment: Experiment) -> Measured:
    """Measures, and says what it found.

    Raises:
        UserError: for whatever the training itself would end with.
    """
    with tempfile.TemporaryDirectory(prefix="tflm_dry_run_") as folder:
        run_dir = Path(folder) / "run"
        measured = fit.train(experiment, run_dir, fit=_measure)
        for line in report(measured, experiment.train):
            say(line)
        say("export, of the weights as they are now:")
        command = [sys.executable, "-m", "export.check_export", f"--run_dir={run_dir}"]
        finished = subprocess.run(command, check=False, capture_output=True, text=True)
        say((finished.stdout or finished.stderr).rstrip("\n"))
    return measured


def _measure(experiment, folder, state, store, tokenizer, objective, source) -> Measured:
    """In place of `trainers.fit._fit`."""
    config, training = experiment.train, state.training
    # Every shape of a batch is compiled once, before the clock counts.
    steps = [*feed.typical_steps(source), *range(STEPS)]
    clock = _Clock(first=len(steps) - STEPS)
    with PeakMemory() as memory:
        training.fit(
            feed.dataset(feed.Reordered(source, steps), 0, len(steps)),
            epochs=1,
            steps_per_epoch=len(steps),
            callbacks=[clock],
            shuffle=False,
            verbose=0,
        )
    held_out = store.split("validation")
    evaluate = objective.evaluator(training.model, config, tokenizer)
    tokens = min(config.eval_tokens or len(held_out.tokens), len(held_out.tokens))
    rows = config.batch_size // config.accumulation
    part = min(tokens, VALIDATION_BATCHES * rows * config.sequence_length)
    if feed.shapes_vary(source):
        part = (
            tokens  # each shape is compiled, too, and what is translated is the same for any part
        )
    evaluate(held_out, part)  # compiles
    validation = _seconds(lambda: evaluate(held_out, part)) * tokens / part
    folder.write_experiment(experiments.to_dict(experiment))
    saved = []
    save = _seconds(lambda: saved.append(folder.save(state.to_checkpoint({}), False)))
    step = (clock.ends[-1] - clock.ends[0]) / STEPS
    per_token = mfu.per_token(experiment, objective, source.tokens_per_step)
    return Measured(
        parameters=training.model.count_params(),
        weights=_bytes(training.model.variables),
        slots=_bytes([*training.optimizer.variables, *training.own_variables]),
        working=memory.bytes,
        where=memory.where,
        first_step=clock.ends[0] - clock.start,
        step=step,
        validation=validation,
        save=save,
        checkpoint=sum(file.stat().st_size for file in saved[0].iterdir()),
        tokens_per_step=source.tokens_per_step,
        mfu=per_token and per_token * source.tokens_per_step / step,
        programs=clock.first,
    )


class _Clock(keras.callbacks.Callback):
    """When the training began, and when the first steps and each one after them were done.

    Args:
        first: how many steps are the first ones, which compile.
    """

    def __init__(self, first: int):
        super().__init__()
        self.first, self.ends, self._steps = first, [], 0

    def on_train_begin(self, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        if self._steps < self.first:
            return
        if len(self.ends) in (0, STEPS):
            float(logs["loss"])  # the device may be behind
        self.ends.append(time.perf_counter())


def report(measured: Measured, train) -> list[str]:
    """The figures in lines."""
    speed = measured.tokens_per_step / measured.step
    share = "" if measured.mfu is None else f", {measured.mfu:.1%} of this machine's matmul rate"
    validations = math.ceil(train.steps / train.eval_every)
    held = min(train.keep_checkpoints + 1, validations)
    first = "the first one, which compiles"
    if measured.programs > 1:
        first = f"the first of each of {measured.programs} shapes, which compile"
    parts = f" in {train.accumulation} parts" if train.accumulation > 1 else ""
    return [
        f"parameters: {measured.parameters:,}",
        f"memory: weights {_size(measured.weights)}, optimizer slots and carried states {_size(measured.slots)}, "
        f"activations, gradients and compiled code {_size(measured.working)} (measured: the most that the "
        f"{measured.where} used over {measured.programs + STEPS} steps, less what it used before)",
        f"speed: {speed:,.0f} tokens/s, {measured.step * 1e3:,.1f} ms a step, on average over {STEPS} steps{share}; "
        f"{measured.first_step:.1f} s for {first}",
        f"time: {tqdm.format_interval(measured.seconds(train))} for {train.steps:,} steps of "
        f"{measured.tokens_per_step:,} tokens{parts}, with {validations:,} validations of "
        f"{measured.validation:.1f} s",
        f"disk: {_size(measured.checkpoint)} a checkpoint, of which up to {held} are kept",
    ]


def _bytes(variables) -> int:
    return sum(array.nbytes for array in named_arrays(variables).values())


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
