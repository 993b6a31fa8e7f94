"""An LSTM over a whole sequence, with a gradient of its own for training.

The gradient that a backend derives adds to the recurrent kernel's gradient (U, 4 U) at every time step: at U = 650 that
reads and writes 7 MB a step, which takes longer than the arithmetic. Here the way back only finds the gradients of the
gates, and one matrix product over all steps gives the kernel's. On two cores this takes two thirds of the time (two
layers of U = 650, 20 rows of 35 tokens).

The equations are those of Greff et al. 2017, "LSTM: A Search Space Odyssey", section 2.B, without peepholes.

Shapes: B batch, T time, U units.
"""

from keras import ops, tree

from tflm import backend


def lstm_step(preactivations, cell):
    """One step from the sum of both products.

    Args:
        preactivations: (B, 4 U), of the gates input, forget, candidate, output.
        cell: (B, U).

    Returns:
        hidden and cell, (B, U), and the four gates, each (B, U).
    """
    i, f, c, o = ops.split(preactivations, 4, axis=-1)
    i, f, c, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(c), ops.sigmoid(o)
    cell = f * cell + i * c
    return o * ops.tanh(cell), cell, (i, f, c, o)


def lstm_over_time(projected, kernel, hidden, cell):
    """
    Args:
        projected: (T, B, 4 U), the inputs times their kernel, plus the bias.
        kernel: (U, 4 U), the recurrent one.
        hidden, cell: (B, U), the state before the first step.

    Returns:
        the hidden states (T, B, U), and hidden and cell after the last step.
    """
    return ops.custom_gradient(_forward)(projected, kernel, hidden, cell)


def _forward(projected, kernel, hidden, cell):
    def step(state, inputs):
        hidden, cell = state
        hidden, cell, gates = lstm_step(inputs[0] + ops.matmul(hidden, kernel), cell)
        return (hidden, cell), (hidden, cell, *gates)

    (last_hidden, last_cell), outputs = backend.scan(step, (hidden, cell), (projected,))
    hiddens, cells, *gates = outputs

    def gradient(*upstream):
        return _backward(kernel, hidden, cell, hiddens, cells, gates, tree.flatten(upstream))

    return (hiddens, last_hidden, last_cell), gradient


def _backward(kernel, hidden, cell, hiddens, cells, gates, upstream):
    d_hiddens, d_hidden, d_cell = upstream
    i, f, c, o = gates
    before = ops.concatenate([cell[None], cells[:-1]], axis=0)
    squashed = ops.tanh(cells)
    # The factors that do not depend on what comes back are found for all steps at once.
    cell_of_hidden = o * (1 - squashed * squashed)
    of_cell = [c * i * (1 - i), before * f * (1 - f), i * (1 - c * c)]
    output_of_hidden = squashed * o * (1 - o)
    transposed = ops.transpose(kernel)

    def step(state, inputs):
        d_hidden, d_cell = state
        d_output, cell_of_hidden, forget, d_i, d_f, d_c, d_o = inputs
        d_hidden = d_hidden + d_output
        d_cell = d_cell + d_hidden * cell_of_hidden
        d_gates = ops.concatenate(
            [d_cell * d_i, d_cell * d_f, d_cell * d_c, d_hidden * d_o], axis=-1
        )
        return (ops.matmul(d_gates, transposed), d_cell * forget), (d_gates,)

    (d_hidden, d_cell), (d_projected,) = backend.scan(
        step,
        (d_hidden, d_cell),
        (d_hiddens, cell_of_hidden, f, *of_cell, output_of_hidden),
        reverse=True,
    )
    units = kernel.shape[0]
    states = ops.concatenate([hidden[None], hiddens[:-1]], axis=0)
    d_kernel = ops.matmul(
        ops.transpose(ops.reshape(states, (-1, units))), ops.reshape(d_projected, (-1, 4 * units))
    )
    return d_projected, d_kernel, d_hidden, d_cell
