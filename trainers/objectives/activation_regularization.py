"""L2 penalties on what the last layer of a recurrent model says (Merity et al. 2017, "Revisiting Activation
Regularization for Language RNNs").

Like the loss, both are sums over tokens by their weights, which sum to 1 over the whole batch: those of the
micro-batches add up to that of the batch, and with equal weights both are the means of the paper.

Shapes: B batch, T time, U units.
"""

from keras import ops


def activation_penalty(raw, output, weights, alpha: float, beta: float):
    """alpha * AR + beta * TAR: of the last layer's output (B, T, U) before (`raw`) and after its dropout.

    Args:
        weights: (B, T) float32.
    """
    penalty = alpha * activation_regularization(output, weights)
    return penalty + beta * temporal_activation_regularization(raw, weights)


def activation_regularization(output, weights):
    """AR: the mean square of `output` (B, T, U), by weights (B, T)."""
    squares = ops.mean(ops.square(ops.cast(output, "float32")), axis=-1)
    return ops.sum(squares * weights)


def temporal_activation_regularization(raw, weights):
    """TAR: the mean square of the change of `raw` (B, T, U) from step to step, by weights (B, T)."""
    length = weights.shape[1]
    if length == 1:
        return ops.zeros(())
    raw = ops.cast(raw, "float32")
    squares = ops.mean(ops.square(raw[:, 1:] - raw[:, :-1]), axis=-1)
    # There are T - 1 changes in T steps.
    return ops.sum(squares * weights[:, 1:]) * (length / (length - 1))
