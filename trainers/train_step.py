"""One step of training, on each backend.

An objective with a `loss` is differentiated: all micro-batches of a batch, then the optimizer once. Weights in the
batch sum to 1 over the whole batch and losses are sums, so the gradients of the micro-batches are added and the result
is exactly that of one large batch, whatever the share of padding in each.

An objective with an `update` changes some rows of large tables itself, where a gradient of the whole table would cost
a thousand times the work; see `trainers.objectives`.
"""

import keras
from keras import ops


class TrainingModel(keras.Model):
    """A model with an objective, as Keras' `fit` takes it. `fit` is given batches as dicts.

    Args:
        model: a language model of `tflm.models`.
        objective: of `trainers.objectives`.
        batch_size, accumulation: of a TrainConfig.

    Attributes:
        shapes_vary: whether batches have one of several shapes; each has a compiled program of its own.
    """

    shapes_vary = False

    def __init__(self, model, objective, batch_size: int, accumulation: int):
        super().__init__(name="training")
        self.model = model
        self.objective = objective
        self.micro_batch_size = batch_size // accumulation
        self.accumulation = accumulation
        # What one step hands to the next, a set for each micro-batch: its rows are the same lanes every time.
        self.carries = []
        for i in range(accumulation):
            initial = {}
            if not updates_rows(objective):
                initial = objective.initial_carry(model, self.micro_batch_size)
            self.carries.append(
                {
                    name: self.add_weight(
                        shape=value.shape,
                        dtype=keras.backend.standardize_dtype(value.dtype),
                        initializer="zeros",
                        trainable=False,
                        name=f"carry_{i}_{name}",
                    )
                    for name, value in initial.items()
                }
            )
        # What an objective that updates rows keeps beside the tables.
        self.slots = {
            name: self.add_weight(
                shape=value.shape,
                initializer=lambda shape, dtype, value=value: ops.convert_to_tensor(value, dtype),
                trainable=False,
                name=f"slot_{name}",
            )
            for name, value in (objective.slots(model) if updates_rows(objective) else {}).items()
        }
        self.built = True

    @property
    def own_variables(self) -> list:
        """What belongs to the training and neither to the model nor to the optimizer."""
        carried = [variable for carry in self.carries for variable in carry.values()]
        return [*carried, *self.slots.values()]

    def _micro_batch(self, batch: dict, i: int) -> dict:
        """Part i of the rows. Where their number changes from batch to batch, the parts may differ by one row."""
        rows, parts = self._num_rows(batch), self._num_parts(batch)
        first, end = rows * i // parts, rows * (i + 1) // parts
        return {n: value[first:end] if len(value.shape) else value for n, value in batch.items()}

    def _num_rows(self, batch: dict) -> int:
        rows = next(value.shape[0] for value in batch.values() if len(value.shape))
        # Under tf.distribute it is not known when the step is traced; there it is always the same.
        return self.micro_batch_size * self.accumulation if rows is None else rows

    def _num_parts(self, batch: dict) -> int:
        """Micro-batches: a batch of a few long rows may have fewer rows than it should have parts."""
        return min(self.accumulation, self._num_rows(batch))

    def _loss(self, batch: dict, i: int):
        carry = {name: ops.convert_to_tensor(v) for name, v in self.carries[i].items()}
        loss, carry = self.objective.loss(self.model, self._micro_batch(batch, i), carry)
        for name, value in carry.items():
            self.carries[i][name].assign(ops.stop_gradient(value))
        return loss

    def _update_rows(self, batch: dict) -> dict:
        """The step of an objective that updates rows; the optimizer only knows the learning rate and the step."""
        tables = self.model.tables()
        rate = ops.convert_to_tensor(self.optimizer.learning_rate)
        loss, values, slots = self.objective.update(
            {name: ops.convert_to_tensor(variable) for name, variable in tables.items()},
            {name: ops.convert_to_tensor(variable) for name, variable in self.slots.items()},
            batch,
            rate,
        )
        for name, variable in tables.items():
            variable.assign(values[name])
        for name, variable in self.slots.items():
            variable.assign(slots[name])
        self.optimizer.iterations.assign_add(1)
        return {"loss": loss}

    def _scale(self):
        """What the loss is multiplied by before differentiating: 1 but for mixed_float16."""
        return self.optimizer.scale_loss(ops.ones((), "float32"))


class TensorFlowTrainingModel(TrainingModel):
    def over_replicas(self, loss, gradients: list):
        """The sums over all replicas; here there is one."""
        return loss, gradients

    def make_train_function(self, force=False):
        if not self.shapes_vary:
            super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = self._program_a_shape()

    def _program_a_shape(self):
        """(iterator over batches) -> the logs of a step.

        Keras' own function takes the batch inside the graph, where only a shape that is always the same is known.
        """
        import tensorflow as tf

        programs = {}

        def step(iterator):
            batch = next(iterator)
            shapes = tuple(tuple(value.shape) for value in batch.values())
            if shapes not in programs:
                programs[shapes] = tf.function(
                    self.train_step, jit_compile=self.jit_compile, autograph=False
                )
            return programs[shapes](batch)

        return step

    def train_step(self, data):
        import tensorflow as tf

        batch = keras.utils.unpack_x_y_sample_weight(data)[0]
        if updates_rows(self.objective):
            return self._update_rows(batch)
        variables = self.model.trainable_variables
        values = [variable.value for variable in variables]
        scale = self._scale()
        total, gradients = 0.0, None
        for i in range(self._num_parts(batch)):
            with tf.GradientTape() as tape:
                loss = self._loss(batch, i)
                scaled = loss * scale
            # A variable that the objective does not use has a gradient of zeros, as under JAX.
            micro = tape.gradient(scaled, values, unconnected_gradients="zero")
            micro = [tf.convert_to_tensor(g) for g in micro]
            gradients = _add(gradients, micro)
            total = total + loss
        total, gradients = self.over_replicas(total, gradients)
        self.optimizer.apply(gradients, variables)
        return {"loss": total, "grad_norm": _global_norm(gradients) / scale}


class JaxTrainingModel(TrainingModel):
    def train_step(self, state, data):
        import jax

        batch = keras.utils.unpack_x_y_sample_weight(data)[0]
        if updates_rows(self.objective):
            return self._stateless_update_rows(state, batch)
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        with keras.StatelessScope(
            state_mapping=list(zip(self.optimizer.variables, optimizer_variables, strict=True))
        ):
            scale = self._scale()

        def loss_and_state(trainable, non_trainable, i):
            mapping = list(zip(self.trainable_variables, trainable, strict=True))
            mapping += list(zip(self.non_trainable_variables, non_trainable, strict=True))
            with keras.StatelessScope(state_mapping=mapping) as scope:
                loss = self._loss(batch, i)
            updated = [scope.get_current_value(v) for v in self.non_trainable_variables]
            return loss * scale, (loss, updated)

        differentiate = jax.value_and_grad(loss_and_state, has_aux=True)
        total, gradients = 0.0, None
        for i in range(self._num_parts(batch)):
            (_, (loss, non_trainable)), micro = differentiate(trainable, non_trainable, i)
            gradients = _add(gradients, micro)
            total = total + loss
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, gradients, trainable
        )
        logs = {"loss": total, "grad_norm": _global_norm(gradients) / scale}
        return logs, (trainable, non_trainable, optimizer_variables, metrics_variables)

    def _stateless_update_rows(self, state, batch):
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        mapping = []
        for group, values in zip(groups, state, strict=True):
            mapping += zip(group, values, strict=True)
        with keras.StatelessScope(state_mapping=mapping) as scope:
            logs = self._update_rows(batch)
        return logs, tuple([scope.get_current_value(v) for v in group] for group in groups)


TRAINING_MODELS = {"tensorflow": TensorFlowTrainingModel, "jax": JaxTrainingModel}


def updates_rows(objective) -> bool:
    """Whether the objective updates rows of tables itself instead of giving a loss to differentiate."""
    return hasattr(objective, "update")


def _add(total, more):
    return more if total is None else [a + b for a, b in zip(total, more, strict=True)]


def _global_norm(gradients):
    return ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in gradients))
