"""What Keras has no name for on every backend: compiling a function of a model, adding to some rows of a table."""

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


def add_rows(table, ids, rows):
    """`table` with `rows` added at `ids`; rows of one id add up.

    Inside a compiled loop whose state the table is, this happens in place: its cost is that of the rows.

    Args:
        table: (V, D). ids: (N,) int32. rows: (N, D).
    """
    if keras.backend.backend() == "jax":
        return table.at[ids].add(rows)
    import tensorflow as tf

    return tf.tensor_scatter_nd_add(table, ids[:, None], rows)
