"""What Keras has no name for on every backend, or none that is fast."""

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


def repeat(count: int, body, state):
    """`state` after state = body(i, state) for i from 0 to count - 1.

    Passes do not overlap, so that what one of them computes is held once. `keras.ops.fori_loop` under TensorFlow
    begins up to ten of them at a time.

    Args:
        body: of i, () int32, and the state; returns a state of the same shapes and dtypes.
        state: a tensor or a list of tensors.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.fori_loop(0, count, body, state)
    import tensorflow as tf

    return tf.while_loop(
        lambda i, state: i < count,
        lambda i, state: (i + 1, body(i, state)),
        (tf.constant(0), state),
        parallel_iterations=1,
        maximum_iterations=count,
    )[1]


def repeat_while(condition, body, state: tuple):
    """`state` after state = body(*state) for as long as condition(*state) holds.

    (`keras.ops.while_loop` under TensorFlow wants every shape to stay as known as it was.)

    Args:
        body: returns a state of the same shapes and dtypes.
        state: a tuple of tensors and nests of tensors.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.while_loop(
            lambda state: condition(*state), lambda state: tuple(body(*state)), state
        )
    import tensorflow as tf

    def as_known_as(new, old):
        new = tf.convert_to_tensor(new)
        return new if new.shape == old.shape else tf.ensure_shape(new, old.shape)

    state = tf.nest.map_structure(tf.convert_to_tensor, state)
    return tf.while_loop(
        condition,
        lambda *old: tf.nest.map_structure(as_known_as, tuple(body(*old)), old),
        state,
        parallel_iterations=1,
    )


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


def scan(step, state, inputs, reverse: bool = False):
    """A loop over the first axis. (`keras.ops.scan` wants outputs of the shapes of the state.)

    Args:
        step: (state, inputs of one step) -> (state, outputs of that step).
        state, inputs: tuples of tensors; inputs are (T, ...).
        reverse: whether to go from the last step to the first.

    Returns:
        The state after the last step, and the outputs, a tuple of (T, ...) in the order of the inputs.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.scan(step, state, inputs, reverse=reverse)
    import tensorflow as tf

    # A number where it is known: XLA cannot go back through a loop of unknown length.
    length = inputs[0].shape[0] or tf.shape(inputs[0])[0]
    arrays = [tf.TensorArray(x.dtype, length, element_shape=x.shape[1:]).unstack(x) for x in inputs]

    # One step more, for what its outputs look like; nothing uses its values, so they are not computed.
    _, sample = step(state, tuple(x[0] for x in inputs))
    outputs = tuple(tf.TensorArray(y.dtype, length, element_shape=y.shape) for y in sample)

    def body(count, state, outputs):
        i = length - 1 - count if reverse else count
        state, values = step(state, tuple(array.read(i) for array in arrays))
        return (
            count + 1,
            state,
            tuple(array.write(i, value) for array, value in zip(outputs, values, strict=True)),
        )

    _, state, outputs = tf.while_loop(
        lambda count, *_: count < length, body, (0, state, outputs), maximum_iterations=length
    )
    # A stack does not know its length, which is often known.
    known = inputs[0].shape[:1]
    return state, tuple(
        tf.ensure_shape(array.stack(), known + y.shape)
        for array, y in zip(outputs, sample, strict=True)
    )
