"""Averages of the weights over the steps: what is evaluated and kept in place of the last.

Averaged SGD (Polyak and Juditsky 1992) takes the mean of the weights of all steps since some step T. Its
non-monotonically triggered variant (NT-ASGD; Merity et al. 2017, "Regularizing and Optimizing LSTM Language Models",
section 4 and algorithm 1) begins once validation has stopped getting better.
"""

import keras
from keras import ops

NOT_YET = -1


class MeanSinceStart:
    """Puts the mean of the weights since a step that is named later in the place of an optimizer's moving average.

    Until `begin` is called, the average is the weights themselves. All that it remembers are variables of the
    optimizer, and so part of every checkpoint.

    Args:
        optimizer: of Keras, with use_ema, not yet built.
    """

    def __init__(self, optimizer):
        self._optimizer = optimizer
        self._first_step = optimizer.add_variable(
            (), keras.initializers.Constant(NOT_YET), dtype="int", name="first_averaged_step"
        )
        # Keras calls this after every update of the weights, on each of its backends.
        optimizer._update_model_variables_moving_average = self._update

    @property
    def has_begun(self) -> bool:
        return int(self._first_step.numpy()) != NOT_YET

    def begin(self) -> None:
        """From the next step on, the weights are averaged."""
        # By way of a number: under JAX two variables of one buffer cannot both be given to a step.
        self._first_step.assign(int(ops.convert_to_numpy(self._optimizer.iterations.value)))

    def _update(self, variables) -> None:
        first = ops.convert_to_tensor(self._first_step)
        count = ops.convert_to_tensor(self._optimizer.iterations) - first + 1
        count = ops.where(ops.equal(first, NOT_YET), 1, count)
        share = 1.0 / ops.cast(count, "float32")
        averages = self._optimizer._model_variables_moving_average
        for variable, average in zip(variables, averages, strict=True):
            average.assign((1.0 - share) * average.value + share * variable.value)


def averaged_weights(optimizer) -> dict:
    """The average of every trainable variable by the variable's path; empty without one."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema:
        return {}
    averages = inner._model_variables_moving_average
    return {v.path: a for v, a in zip(inner._trainable_variables, averages, strict=True)}


def begin_when_stalled(optimizer, scores: list[float], interval: int) -> bool:
    """Begins to average where `has_stalled` says so and `interval` is not 0; whether it has begun now."""
    if not interval or not has_stalled(scores, interval):
        return False
    mean = getattr(optimizer, "inner_optimizer", optimizer).mean_since_start
    if mean.has_begun:
        return False
    mean.begin()
    return True


def has_stalled(scores: list[float], interval: int) -> bool:
    """Whether the last validation was worse than the best of those more than `interval` before it.

    As in the authors' program; their algorithm 1 is written with the minimum over the last `interval` ones, which
    would begin at the first validation that is worse than the one before.

    Args:
        scores: of all validations so far, less is better.
        interval: n of the paper, in validations.
    """
    *before, last = scores
    return len(before) > interval and last > min(before[:-interval])
