"""Compiling a function of a model on whichever backend Keras runs."""

import keras


def compiled(model, function):
    """`function`, compiled by XLA; it may read the variables of `model` but not assign them.

    Args:
        model: the Keras model whose variables the function reads.
        function: of tensors and nests of tensors.

    Returns:
        A function of the same arguments. It is compiled once for each new set of shapes.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        # Without AutoGraph: the functions have no Python control flow on tensors.
        return tf.function(function, jit_compile=True, autograph=False)
    if backend == "jax":
        import jax

        variables = model.variables

        @jax.jit
        def pure(values, *arguments):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(*arguments)

        return lambda *arguments: pure([variable.value for variable in variables], *arguments)
    return function
