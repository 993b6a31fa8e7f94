"""How far an update moves the weights, as a share of their size: on the TensorBoard page, for every group of layers.

About 1e-3 is usual for a healthy training (Bottou 2015, "Multilayer Neural Networks"); far more says that the learning
rate is too high for these layers, far less that they hardly learn.
"""

import keras
from keras import ops

from trainers.train_step import updates_rows


class UpdateRatio(keras.callbacks.Callback):
    """Writes |change| / |weights before| of each group, at the steps that are logged.

    Only those steps pay for it: a copy of the weights and one pass over both. Tables of which single rows are updated
    are left out: their copy would cost more than the step.

    Args:
        train: TrainConfig.
        progress: callbacks.Progress; the callback that counts its steps stands before this one.
        journal: trainers.journal.Journal.
    """

    def __init__(self, train, progress, journal):
        super().__init__()
        self.train, self.progress, self.journal = train, progress, journal
        self._before = None
        self._ratios = _compiled(ratios)

    def on_train_batch_begin(self, batch, logs=None):
        step = self.progress.step + 1
        if updates_rows(self.model.objective):
            return
        if step % self.train.log_every == 0 or step == self.train.steps:
            # The step itself may write over the weights where they lie.
            self._before = [[ops.copy(value) for value in group] for group in self._values()]

    def on_train_batch_end(self, batch, logs=None):
        if self._before is None:
            return
        values = self._ratios(self._before, self._values())
        self._before = None
        names = [f"update_ratio/{name}" for name in self._groups()]
        scalars = dict(zip(names, map(float, values), strict=True))
        self.journal.scalars("train", self.progress.step, scalars)

    def _groups(self) -> dict[str, list]:
        return groups(self.model.model.trainable_variables)

    def _values(self) -> list[list]:
        if hasattr(self.model, "jax_state_sync"):  # under JAX the live values are the step's
            self.model.jax_state_sync()
        # As tensors: a variable may lie on several devices.
        return [
            [ops.convert_to_tensor(v) for v in variables] for variables in self._groups().values()
        ]


def groups(variables) -> dict[str, list]:
    """Variables by the part of the model that they are in: `block_0` of `gpt/block_0/attention/...`."""
    by_name = {}
    for variable in variables:
        by_name.setdefault(variable.path.split("/")[1], []).append(variable)
    return by_name


def ratios(before: list[list], after: list[list]) -> list:
    """Per group |after - before| / |before|, 0 where the weights were all zero."""
    results = []
    for old, new in zip(before, after, strict=True):
        size = _norm(old)
        change = _norm([b - a for a, b in zip(old, new, strict=True)])
        results.append(ops.where(size > 0, change / ops.maximum(size, 1e-30), 0.0))
    return results


def _norm(values):
    return ops.sqrt(sum(ops.sum(ops.square(ops.cast(v, "float32"))) for v in values))


def _compiled(function):
    """Traced once. XLA would take longer to compile it than it saves."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, autograph=False)
