"""Training on several devices and machines: which rows a replica computes, who writes, and who waits for whom.

Every replica holds the whole model and computes its rows of the one global batch. Weights in the batch are normalised
over the global batch and losses are sums, so gradients are added over the replicas; the optimizer, and with it
clipping, sees the sum. A run therefore does not know on how many devices it was trained: `fit` asks the group at hand
and a run folder goes on under any other.

Only the chief writes. It is also the one that evaluates; what it finds out decides for all.
"""

import atexit
import contextlib
import hashlib
import json
import os
import sys

import keras

from tflm import program
from tflm.errors import UserError, unknown_name
from tflm.run import RunFolder
from trainers import feed, machine, objectives, out_of_memory, terminal
from trainers.cluster import read_tf_config
from trainers.journal import Journal, NoJournal
from trainers.train_step import TRAINING_MODELS, updates_rows

CHOICES = ("mirrored", "multi_worker")
LARGEST = 2**62  # more steps than any run has


class OneDevice:
    """The group of a training on one device: there is nobody to wait for.

    Attributes:
        is_chief: whether this process writes.
        num_replicas: devices that share a batch, over all machines.
        num_machines: workers.
        can_compile: whether XLA may compile the step.
    """

    is_chief = True
    num_replicas = 1
    num_machines = 1
    can_compile = True

    @property
    def num_devices(self) -> int:
        """How many of what `machine.matmul_rate` measures; a processor is one, however many replicas share it."""
        return self.num_machines if machine.device_memory() is None else self.num_replicas

    def scope(self):
        """Inside, variables are made on every device."""
        return contextlib.nullcontext()

    def training_model(self, model, objective, config):
        backend = keras.backend.backend()
        return TRAINING_MODELS[backend](model, objective, config.batch_size, config.accumulation)

    def prepare(self, training) -> None:
        """Called once before the first step, with all variables as the checkpoint has them."""

    def dataset(self, source, start: int, end: int, accumulation: int):
        """What `fit` reads: the batches `start` to `end` - 1, each replica with its rows of them."""
        return feed.dataset(source, start, end)

    def chief_first(self):
        """Inside, the chief is alone; the others enter when it has left."""
        return contextlib.nullcontext()

    def from_chief(self, compute):
        """compute() of the chief, which alone calls it; a JSON value."""
        return compute()

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set on any worker."""
        return flag

    def check_same(self, **values) -> None:
        """Raises UserError where the workers' values differ."""

    def folder(self, run_dir) -> RunFolder:
        return RunFolder(run_dir)

    def journal(self, folder, step: int):
        return Journal(folder, step)

    def until_it_fits(self, attempt, experiment, folder):
        """attempt(), with smaller micro-batches where the memory is too small for them."""
        return out_of_memory.until_it_fits(attempt, experiment, folder)

    def watch(self):
        """Inside, the loss of another worker is a UserError."""
        return contextlib.nullcontext()

    def describe(self) -> str:
        return ""


class JaxDevices(OneDevice):
    """All devices of this machine under JAX, by keras.distribution: the arrays are spread, the step stays as it is."""

    def __init__(self):
        self._distribution = keras.distribution.DataParallel(
            devices=keras.distribution.list_devices(), auto_shard_dataset=False
        )
        self.num_replicas = self._distribution.num_model_replicas

    def scope(self):
        return self._distribution.scope()

    def describe(self) -> str:
        return f"{self.num_replicas} devices of this machine by keras.distribution"


class Mirrored(OneDevice):
    """All devices of this machine: the GPUs, else TensorFlow's logical CPU devices."""

    can_compile = False  # XLA fails on logical devices
    first_replica = 0

    def __init__(self):
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        # Named, because a TF_CONFIG in the environment would make it take other machines' devices, too.
        self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        self.num_replicas = self.strategy.num_replicas_in_sync
        self.num_local = self.num_replicas

    def scope(self):
        return self.strategy.scope()

    def until_it_fits(self, attempt, experiment, folder):
        try:
            return attempt()
        except out_of_memory.OutOfMemory as error:
            # One replica alone cannot change its micro-batches.
            raise UserError(
                f"Out of memory after step {error.step:,}. On several devices micro-batches do not become smaller by "
                "themselves: raise --config.train.accumulation and start the same command again."
            ) from error

    def training_model(self, model, objective, config):
        check_divides(
            config, self.num_replicas
        )  # a run may go on with more micro-batches than asked for
        from trainers.replicas import ReplicatedTrainingModel

        return ReplicatedTrainingModel(
            model, objective, config.batch_size, config.accumulation, self.first_replica
        )

    def prepare(self, training) -> None:
        training.spread_seeds()

    def dataset(self, source, start, end, accumulation):
        import tensorflow as tf

        from trainers.replicas import ReplicaSource

        rows = ReplicaSource(
            source, self.first_replica, self.num_local, self.num_replicas, accumulation
        )
        # `fit` stops at the right step by itself. Without an end in sight the workers need not ask each other before
        # every step whether there is one.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return self.strategy.distribute_datasets_from_function(
            lambda context: feed.dataset(rows, start * self.num_local, LARGEST).apply(endless)
        )

    def describe(self) -> str:
        return f"{self.num_replicas} devices of this machine by tf.distribute"


class MultiWorker(Mirrored):
    """The devices of several processes, usually on several machines, that TF_CONFIG names.

    Raises:
        UserError: for a TF_CONFIG that is wrong, and where the workers do not find each other.
    """

    def __init__(self):
        import tensorflow as tf

        cluster = read_tf_config()
        self.is_chief = cluster.index == 0
        self.num_machines = len(cluster.addresses)
        terminal.say(
            f"Worker {cluster.index} of {self.num_machines}, waiting for the others: "
            f"{', '.join(cluster.addresses)}."
        )
        with self.watch(), program.quiet_native_messages():
            try:
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            except tf.errors.UnknownError as error:
                raise UserError(
                    f"Cannot listen at {cluster.addresses[cluster.index]}, where TF_CONFIG has this worker. Is the "
                    f"port taken? TensorFlow says: {_reason(error)}"
                ) from error
        self.num_replicas = self.strategy.num_replicas_in_sync
        self.num_local = self.num_replicas // self.num_machines
        self.first_replica = cluster.index * self.num_local
        if not self.is_chief:
            terminal.be_quiet()

    @contextlib.contextmanager
    def chief_first(self):
        if not self.is_chief:
            self._gather(None)
        yield
        if self.is_chief:
            self._gather(None)

    def from_chief(self, compute):
        return next(v for v in self._gather([compute()] if self.is_chief else None) if v)[0]

    def any(self, flag: bool) -> bool:
        import tensorflow as tf

        total = self.strategy.reduce(
            tf.distribute.ReduceOp.SUM, tf.constant(float(flag)), axis=None
        )
        return float(total) > 0

    def check_same(self, **values) -> None:
        sums = {
            name: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
            for name, value in values.items()
        }
        for others in self._gather(sums):
            different = [name for name, value in sums.items() if others[name] != value]
            if different:
                raise UserError(
                    f"All workers must have the same {different[0].replace('_', ' ')}, and they do not. Start the same "
                    "command on every machine, with one text and one --run_dir that all of them share."
                )

    def _gather(self, value) -> list:
        """The JSON value of every worker, in an order that is the same for all."""
        import tensorflow as tf

        text = (json.dumps(value) + "\n").encode()
        texts = self.strategy.gather(tf.constant(list(text), tf.int32), axis=0).numpy()
        return [json.loads(line) for line in bytes(texts.astype("uint8")).splitlines()]

    def folder(self, run_dir):
        return RunFolder(run_dir) if self.is_chief else FolderOfTheChief(run_dir)

    def journal(self, folder, step):
        return Journal(folder, step) if self.is_chief else NoJournal()

    @contextlib.contextmanager
    def watch(self):
        import tensorflow as tf

        lost = (
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
            tf.errors.FailedPreconditionError,
            tf.errors.InternalError,
            tf.errors.UnavailableError,
        )
        try:
            yield
        except BaseException as error:
            # TensorFlow's own end would wait for ever for a chief that is no more.
            atexit.register(_leave_at_once, 2 if isinstance(error, (UserError, *lost)) else 1)
            if not isinstance(error, lost):
                raise
            raise UserError(
                "Another worker is gone or cannot be reached, so this one ends too. Start the same command on all "
                f"workers again: the training goes on from the last checkpoint. TensorFlow says: {_reason(error)}"
            ) from error

    def describe(self) -> str:
        devices = f"{self.num_local} device{'s' * (self.num_local > 1)} each"
        return f"{self.num_machines} workers with {devices} by tf.distribute"


def _reason(error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if " by: " in line or "Error" in line), lines[0])[-200:]


def _leave_at_once(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class FolderOfTheChief(RunFolder):
    """The run folder as the other workers have it: they read it and write nothing."""

    def create(self):
        pass

    def write_experiment(self, experiment):
        pass

    def save(self, checkpoint, is_best, keep=2):
        return self.checkpoints


def start(distribute: str | None, experiment) -> OneDevice:
    """The group that a training belongs to. Must come before anything is computed.

    Args:
        distribute: one of CHOICES, or None for one device.
        experiment: what will be trained.

    Raises:
        UserError: where it cannot be distributed like that.
    """
    if distribute is None:
        return OneDevice()
    if distribute not in CHOICES:
        raise unknown_name("--distribute", distribute, CHOICES)
    objective = objectives.build(experiment.objective)
    why = "updates single rows of its tables" if updates_rows(objective) else None
    if getattr(objective, "rows_vary", False):
        why = "has batches of more and of fewer rows"
    if why:
        raise UserError(
            f"The objective {objectives.kind_of(experiment.objective)} {why}, on one device only. "
            "Leave --distribute out."
        )
    is_jax = keras.backend.backend() == "jax"
    if is_jax and distribute == "multi_worker":
        raise UserError(
            "--distribute=multi_worker needs KERAS_BACKEND=tensorflow. Under jax there is --distribute=mirrored."
        )
    group = (
        MultiWorker() if distribute == "multi_worker" else JaxDevices() if is_jax else Mirrored()
    )
    check_divides(experiment.train, group.num_replicas)
    return group


def check_divides(train, num_replicas: int) -> None:
    """Raises UserError where the devices do not divide the rows of a micro-batch."""
    if train.batch_size % (train.accumulation * num_replicas):
        raise UserError(
            f"`train.batch_size` must be a multiple of train.accumulation times the {num_replicas} devices. "
            f"Received: batch_size={train.batch_size}, accumulation={train.accumulation}."
        )
