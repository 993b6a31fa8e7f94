"""Gradient checkpointing: what a layer computes inside is computed again in the backward pass, not kept for it."""

import keras
from keras import ops


def recomputed(layer, function, x):
    """function(x), of which only x stays in memory until the gradient is taken.

    Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost": one more forward pass for the memory of one
    layer instead of all.

    Args:
        layer: whose variables `function` reads, and no others.
        function: of a tensor; returns a tensor.
    """
    # As a pure function of its values: what is computed again must draw the same dropout, and change nothing twice.
    seeds = layer.non_trainable_variables
    drawn = [(v, ops.copy(v)) for v in seeds]
    weights = layer.trainable_variables
    values = [ops.copy(v) for v in weights]

    def pure(x, *values):
        mapping = [*zip(weights, values, strict=True), *drawn]
        with keras.StatelessScope(mapping, initialize_variables=False) as scope:
            return function(x), scope

    result = keras.remat(lambda x, *values: pure(x, *values)[0])(x, *values)
    if seeds:
        # The states of the random generators after a pass, which does not depend on what passes through.
        _, scope = pure(x[:1, :1], *values)
        for seed in seeds:
            seed.assign(scope.get_current_value(seed))
    return result
