"""One step on several replicas under tf.distribute: which rows each has, and what they share.

Shapes: R replicas, A micro-batches, B rows of the global batch; a replica has B / (A R) rows of every micro-batch.

Keras 3.15's `fit` fails under MultiWorkerMirroredStrategy in two places: it builds the model from a batch that is
spread over the replicas, and it averages scalars along an axis that they do not have. Here the model is built already,
and a step's logs are sums over all replicas, so that those of one replica are the logs.
"""

import numpy as np

from trainers.train_step import TensorFlowTrainingModel

SEED = "seed_generator_state"  # Keras' name for the state of a random generator
SEED_OFFSET = 0x9E3779B9  # far apart, and odd: no two replicas meet


def rows_of(batch: dict, replica: int, num_replicas: int, accumulation: int) -> dict:
    """A replica's rows: (B, ...) -> (B / R, ...), its part of the first micro-batch, then of the second, and so on.

    Lane b of a micro-batch is then always the same replica's, and the replicas' lanes in a row are the micro-batch.
    """

    def part(value):
        if not np.ndim(value):
            return value
        value = np.asarray(value)
        parts = value.reshape(accumulation, num_replicas, -1, *value.shape[1:])[:, replica]
        return parts.reshape(-1, *value.shape[1:])

    return {name: part(value) for name, value in batch.items()}


class ReplicaSource:
    """The batches of one worker as `fit` draws them: one for each of its replicas, then the next step's.

    Args:
        source: of global batches.
        first: the number of this worker's first replica.
        local: how many replicas it has.
    """

    def __init__(self, source, first: int, local: int, num_replicas: int, accumulation: int):
        self._source, self._first, self._local = source, first, local
        self._num_replicas, self._accumulation = num_replicas, accumulation
        self._last = (-1, None)  # the step that the replicas share is computed once

    def batch(self, number: int) -> dict:
        step, replica = divmod(number, self._local)
        if self._last[0] != step:
            self._last = (step, self._source.batch(step))
        return rows_of(self._last[1], self._first + replica, self._num_replicas, self._accumulation)


class Lanes:
    """A carried state of all replicas as one variable: its rows are those of the micro-batch.

    A checkpoint therefore does not know of replicas.

    Args:
        strategy: of tf.distribute.
        variable: (rows of one replica, ...), different on every replica.
        first: the number of this worker's first replica.
    """

    def __init__(self, strategy, variable, first: int):
        self._strategy, self._variable, self._first = strategy, variable, first
        self.path = variable.path
        rows, *rest = variable.shape
        self._rows = rows
        self.shape = (rows * strategy.num_replicas_in_sync, *rest)

    def numpy(self) -> np.ndarray:
        """From all replicas; every worker must ask for it at the same time."""
        import tensorflow as tf

        def number_and_rows():
            context = tf.distribute.get_replica_context()
            number = tf.reshape(tf.cast(context.replica_id_in_sync_group, tf.int32), (1,))
            return number, tf.identity(self._variable.value)

        @tf.function(autograph=False)
        def on_every_replica():
            return self._strategy.run(number_and_rows)

        numbers, rows = on_every_replica()
        # Which place a replica has among what is gathered, TensorFlow does not promise.
        order = np.argsort(self._strategy.gather(numbers, axis=0).numpy())
        rows = self._strategy.gather(rows, axis=0).numpy()
        return rows.reshape(len(order), self._rows, *rows.shape[1:])[order].reshape(self.shape)

    def assign(self, array) -> None:
        for i, local in enumerate(self._strategy.experimental_local_results(self._variable.value)):
            first = (self._first + i) * self._rows
            local.assign(array[first : first + self._rows])


class ReplicatedTrainingModel(TensorFlowTrainingModel):
    """A TrainingModel whose step runs on every replica; made inside the strategy's scope.

    Args:
        first: the number of this worker's first replica.
        batch_size: of the global batch.
    """

    def __init__(self, model, objective, batch_size: int, accumulation: int, first: int):
        import tensorflow as tf

        self._strategy = tf.distribute.get_strategy()
        self._first = first
        batch_size //= self._strategy.num_replicas_in_sync
        super().__init__(model, objective, batch_size, accumulation)

    @property
    def own_variables(self) -> list:
        return [
            Lanes(self._strategy, variable, self._first)
            for carry in self.carries
            for variable in carry.values()
        ]

    def spread_seeds(self) -> None:
        """Lets every replica draw other random numbers; the first one's are those that a checkpoint holds."""
        for variable in self.model.variables:
            if variable.path.endswith(SEED):
                locals_ = self._strategy.experimental_local_results(variable.value)
                for i, local in enumerate(locals_):
                    seed = np.array(local)
                    seed[0] += np.array((self._first + i) * SEED_OFFSET).astype(seed.dtype)
                    local.assign(seed)

    def over_replicas(self, loss, gradients: list):
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        loss, *gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, [loss, *gradients])
        return loss, gradients

    def compile(self, optimizer, **settings):
        # Keras adds the gradients up behind its clipping, which then acts on each replica's share. They are added up
        # before the optimizer sees them.
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if not hasattr(inner, "_all_reduce_sum_gradients"):
            raise NotImplementedError("This version of Keras adds gradients up in another place.")
        inner._all_reduce_sum_gradients = list
        super().compile(optimizer=optimizer, **settings)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        pass

    def make_train_function(self, force=False):
        import tensorflow as tf

        if self.train_function is not None and not force:
            return

        @tf.function(autograph=False)
        def step(iterator):
            logs = self._strategy.run(self.train_step, args=(next(iterator),))
            first = self._strategy.experimental_local_results
            return {name: first(value)[0] for name, value in logs.items()}

        self.train_function = step
