"""What happens around the steps: the log, validation with its checkpoint, and leaving cleanly."""

import contextlib
import dataclasses
import math
import signal
import time

import keras
import numpy as np
import psutil

from tflm.errors import UserError
from tflm.run import Checkpoint, RunFolder, assign_arrays, named_arrays
from trainers import machine
from trainers.averaging import averaged_weights, begin_when_stalled
from trainers.out_of_memory import recut
from trainers.terminal import Bar, say

RAW = "raw/"  # prefix of the weights in training, where the ones to use are their moving average


@dataclasses.dataclass
class Progress:
    """How far the training is; kept in every checkpoint.

    Attributes:
        seconds: spent in training steps, validation not counted.
        best_score: of all validations so far, None before the first; less is better.
        without_better: validations since the best one.
        scores: of all validations.
        finished: whether all steps are done or early stopping ended the training.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_score: float | None = None
    without_better: int = 0
    scores: list[float] = dataclasses.field(default_factory=list)
    finished: bool = False

    def has_stalled(self, early_stopping: int) -> bool:
        """Whether that many validations in a row were no better; never for 0."""
        return bool(early_stopping) and self.without_better >= early_stopping


class TrainingState:
    """All that one checkpoint holds, between the live objects and arrays.

    Args:
        training: the TrainingModel, compiled with its optimizer.
        progress: updated in place by the callbacks.
        store_fingerprint: of the tokens that are trained on.
    """

    def __init__(self, training, progress: Progress, store_fingerprint: str = ""):
        self.training, self.progress = training, progress
        self.store_fingerprint = store_fingerprint

    def _sync(self) -> None:
        # Under JAX the live values are the step's, not the variables', until asked for.
        if hasattr(self.training, "jax_state_sync"):
            self.training.jax_state_sync()

    def _training_variables(self) -> list:
        return [*self.training.optimizer.variables, *self.training.own_variables]

    @contextlib.contextmanager
    def averaged(self):
        """Inside, the model has the weights to use: their moving average, where one is kept."""
        self._sync()
        averages = averaged_weights(self.training.optimizer)
        trainable = [v for v in self.training.model.trainable_variables if averages]
        raw = [np.array(v.numpy()) for v in trainable]
        for variable in trainable:
            variable.assign(averages[variable.path].value)
        try:
            yield raw
        finally:
            for variable, value in zip(trainable, raw, strict=True):
                variable.assign(value)

    def to_checkpoint(self, metrics: dict) -> Checkpoint:
        with self.averaged() as raw:
            training = named_arrays(self._training_variables())
            for variable, value in zip(self.training.model.trainable_variables, raw, strict=False):
                training[RAW + variable.path] = value
            model = named_arrays(self.training.model.variables)
        state = {
            "progress": dataclasses.asdict(self.progress),
            "metrics": metrics,
            "store": self.store_fingerprint,
        }
        return Checkpoint(self.progress.step, model, training, state)

    def restore(self, checkpoint: Checkpoint, source: str) -> None:
        model, training = dict(checkpoint.model), dict(checkpoint.training)
        for path in [path for path in training if path.startswith(RAW)]:
            model[path.removeprefix(RAW)] = training.pop(path)
        assign_arrays(self.training.model.variables, model, source)
        training = recut(training, self.training.accumulation)
        assign_arrays(self._training_variables(), training, source)
        for name, value in checkpoint.state["progress"].items():
            setattr(self.progress, name, value)


class StepLog(keras.callbacks.Callback):
    """Counts the steps, logs their averages, draws the bar, and stops at a loss that is not a number.

    Args:
        train: TrainConfig.
        schedule: the learning rate of a step.
        tokens_per_step: of one update.
        bits_per_nat: what turns the loss into bits per byte, as the function of that name computes it;
            None for an objective that has no such scale.
        mfu_per_token: seconds that a token would take at the machine's matmul rate; None where that says nothing.
    """

    def __init__(
        self,
        train,
        progress,
        journal,
        schedule,
        tokens_per_step,
        bits_per_nat,
        mfu_per_token=None,
    ):
        super().__init__()
        self.mfu_per_token = mfu_per_token
        self.schedule = schedule
        self.train, self.progress, self.journal = train, progress, journal
        self.tokens_per_step, self.bits_per_nat = tokens_per_step, bits_per_nat
        self.bar = Bar("train", train.steps, "steps", initial=progress.step)
        self._window, self._slice = [], []
        self._timed_steps, self._timed_seconds = 0, 0.0
        self._started = 0.0
        self._is_first = True
        self._has_gradient = True
        self._process = psutil.Process()

    def on_epoch_begin(self, epoch, logs=None):
        self._slice = []

    def on_train_batch_begin(self, batch, logs=None):
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        # An objective that updates rows has no gradient of the whole model.
        self._window.append((logs["loss"], logs.get("grad_norm", 0.0)))
        self._has_gradient = "grad_norm" in logs
        step = self.progress.step + 1
        log_now = step % self.train.log_every == 0 or step == self.train.steps
        if log_now:  # waits for the device, so that the seconds are those of finished work
            window = self._read_window()
        seconds = time.perf_counter() - self._started
        self.progress.step += 1
        self.progress.tokens += self.tokens_per_step
        self.progress.seconds += seconds
        if not self._is_first:  # the first step's compilation says nothing about the speed
            self._timed_steps += 1
            self._timed_seconds += seconds
        self._is_first = False
        if log_now:
            self._check(window)
            self._log(window)

    def _read_window(self):
        """Loss and gradient norm of the steps since the last line: (steps, 2)."""
        return np.array([[float(x) for x in pair] for pair in self._window]).reshape(-1, 2)

    def _check(self, window):
        # An infinite gradient under loss scaling is a step that was skipped; elsewhere the weights are lost.
        is_scaled = hasattr(self.model.optimizer, "inner_optimizer")
        if not np.isfinite(window[:, :1] if is_scaled else window).all():
            last = self.progress.step
            raise not_a_number(f"training loss, first in steps {last - len(window) + 1} to {last}")

    def _log(self, window):
        step = self.progress.step
        loss, grad_norm = window[:, 0].mean(), window[np.isfinite(window[:, 1]), 1]
        grad_norm = grad_norm.mean() if len(grad_norm) else 0.0  # no update was made
        speed = self._timed_steps * self.tokens_per_step / max(self._timed_seconds, 1e-9)
        rate = float(self.schedule(step - 1))
        values = {"loss": loss}
        scalars = {"train/loss": loss, "train/learning_rate": rate}
        if self._has_gradient:
            values["grad_norm"] = scalars["train/grad_norm"] = grad_norm
        note = f"loss {loss:.3f}"
        if self.bits_per_nat is not None:
            values["bits_per_byte"] = loss * self.bits_per_nat
            scalars["train/bits_per_byte"] = values["bits_per_byte"]
            note += f", {values['bits_per_byte']:.3f} bits/byte"
        memory = self._process.memory_info().rss / 2**20
        scalars |= {"perf/tokens_per_second": speed, "perf/memory_mib": memory}
        device = machine.device_memory()
        if device is not None:
            scalars["perf/device_memory_mib"] = device[1] / 2**20
        note += f", {speed:,.0f} tokens/s"
        values |= {
            "learning_rate": rate,
            "tokens": self.progress.tokens,
            "seconds": round(self.progress.seconds, 3),
            "tokens_per_second": round(speed, 1),
            "memory_mib": round(memory, 1),
        }
        if self.mfu_per_token is not None and self._timed_steps:
            mfu = scalars["perf/mfu"] = speed * self.mfu_per_token
            values["mfu"] = round(mfu, 4)
            note += f", MFU {mfu:.0%}"
        self.journal.write("train", step, values)
        self.journal.scalars("train", step, scalars)
        self.bar.update(step, note)
        self._slice.append(loss)
        self._window = []
        self._timed_steps, self._timed_seconds = 0, 0.0

    def on_epoch_end(self, epoch, logs=None):
        self._check(self._read_window())  # before a checkpoint is made of it
        if logs is not None and self._slice:
            logs["loss"] = float(np.mean(self._slice))  # of the slice; Keras has the last step's
        self.bar.update(self.progress.step)


class Diverged(UserError):
    """The training's own end, as a loss that is no number."""


def not_a_number(what: str) -> Diverged:
    return Diverged(
        f"Not a number any more: the {what}. The last good checkpoint is kept. Lower "
        "--config.train.learning_rate or set --config.train.clip_norm, and start the same command in a new --run_dir."
    )


class Validation(keras.callbacks.Callback):
    """At the end of every slice: evaluate, draw samples, save, and stop where nothing gets better.

    Args:
        evaluate: () -> dict of numbers; `score_name` is the one that decides, less is better.
        samples: () -> list of what `trainers.samples` has.
    """

    def __init__(
        self, train, state: TrainingState, folder: RunFolder, journal, evaluate, samples, score_name
    ):
        super().__init__()
        self.train, self.state, self.folder, self.journal = train, state, folder, journal
        self.evaluate, self.samples, self.score_name = evaluate, samples, score_name
        self.metrics = {}

    def on_epoch_end(self, epoch, logs=None):
        progress = self.state.progress
        if progress.step % self.train.eval_every and progress.step != self.train.steps:
            return  # a signal ended the slice; it is saved where it is
        with self.state.averaged():
            self.metrics = self.evaluate()
            samples = self.samples()
        score = self.metrics[self.score_name]
        if not math.isfinite(score):
            raise not_a_number(f"validation's {self.score_name} at step {progress.step}")
        is_best = progress.best_score is None or score < progress.best_score
        progress.best_score = score if is_best else progress.best_score
        progress.without_better = 0 if is_best else progress.without_better + 1
        progress.scores = [*progress.scores, score]
        if begin_when_stalled(self.model.optimizer, progress.scores, self.train.average_after):
            say("Validation has stopped getting better: the weights are averaged from here on.")
        stop = progress.has_stalled(self.train.early_stopping)
        progress.finished = stop or progress.step >= self.train.steps
        self.journal.write(
            "validation",
            progress.step,
            self.metrics | {"tokens": progress.tokens, "seconds": round(progress.seconds, 3)},
        )
        # The size of the split, which is among the metrics, is no curve.
        curves = {f"eval/{k}": v for k, v in self.metrics.items() if isinstance(v, float)}
        self.journal.scalars("validation", progress.step, curves)
        for sample in samples:
            sample.write(self.journal, progress.step)
        if logs is not None:
            logs.update({f"val_{self.score_name}": score})
        self.folder.save(
            self.state.to_checkpoint(self.metrics), is_best, self.train.keep_checkpoints
        )
        written = "".join(
            f"{name} {self.metrics[name]:.2f}, "
            for name in ("bleu", "rouge_l")
            if name in self.metrics
        )
        say(
            f"step {progress.step:>6,}: {self.score_name} {score:.4f}{' (best)' if is_best else ''}, {written}"
            f"{progress.seconds:.0f} s of training"
        )
        if stop:
            say(f"Stopped early: no better validation in {progress.without_better} in a row.")
            self.model.stop_training = True


class GracefulStop(keras.callbacks.Callback):
    """SIGINT and SIGTERM end the training after the step that is running; a second one ends it at once.

    Args:
        any_worker: whether a flag is set on any worker; the others end with the one that was told to.
    """

    def __init__(self, any_worker=bool):
        super().__init__()
        self._any_worker = any_worker
        self.received = None
        self._before = {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        say(
            f"{signal.Signals(number).name}: saving after this step. Once more to leave without saving."
        )

    def on_train_batch_end(self, batch, logs=None):
        if self._any_worker(self.received is not None):
            self.received = self.received or signal.SIGTERM
            self.model.stop_training = True


def bits_per_nat(split) -> float:
    """What turns nats per predicted token into bits per byte on a split; BOS is not predicted."""
    num_predicted = len(split.tokens) - split.num_documents
    return num_predicted / max(split.num_bytes, 1) / math.log(2)
