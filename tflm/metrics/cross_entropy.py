"""Cross-entropy to the next token, without ever holding the logits of a whole batch where they are many.

With V = 50,000 tokens and N = 4,096 positions the logits are 819 MB in float32, and a gradient takes them three times.
Where they are more than CHUNK_LOGITS, positions are taken in chunks, one after the other. The gradient of a sum of
losses is known with the losses,

    d loss / d logits = p (1 + 2 z log Z) - (1 - s) [i = label] - s / V

so that in chunks the forward pass already adds up that of the table and keeps that of the hidden states: nothing is
computed twice, and no logits are kept. In one piece the exponentials are kept, and the gradient is taken when it is
asked for.

Shapes: B batch, T time, N = B * T positions in C chunks of R rows, D hidden, V vocabulary.
"""

import math

from keras import ops

from tflm.backend import repeat

CHUNK_LOGITS = 2**25  # at a time: 128 MiB in float32


def cross_entropy(logits, labels, label_smoothing: float = 0.0, z_loss: float = 0.0):
    """The loss of every position in nats; without options it is -log p of the label.

    Args:
        logits: (..., V) float32. labels: (...) int32.
        label_smoothing: s, the share of the target's mass that is spread over the vocabulary (Szegedy et al. 2016,
            section 7).
        z_loss: z, the weight of log^2 Z with Z = sum exp(logits), which keeps the logits from drifting away
            (Chowdhery et al. 2022, "PaLM", section 5, with 1e-4).

    Returns:
        (...) float32.
    """

    @ops.custom_gradient
    def losses(logits):
        softmax = _Softmax(logits, labels, label_smoothing, z_loss)
        return softmax.losses(), softmax.slopes

    return losses(logits)


def scores(model, hidden, labels):
    """-log p of every label in nats.

    Args:
        model: a language model of `tflm.models`. hidden: (B, T, D), of its `hidden`. labels: (B, T) int32.

    Returns:
        (B, T) float32.
    """
    table, bias = model.output_table()
    count = _num_chunks(labels.shape, table.shape[0])
    if count == 1:
        return cross_entropy(model.logits(hidden), labels)
    output = (ops.copy(table), bias if bias is None else ops.copy(bias))
    hidden_chunks, label_chunks = _split(hidden, count), _split(labels, count)

    def body(i, nats):
        logits = model.logits(hidden_chunks[i], output)
        return ops.slice_update(nats, (i, 0), cross_entropy(logits, label_chunks[i])[None])

    nats = repeat(count, body, ops.zeros(label_chunks.shape, "float32"))
    return ops.reshape(ops.reshape(nats, (-1,))[: math.prod(labels.shape)], labels.shape)


def loss(model, hidden, labels, weights, label_smoothing: float = 0.0, z_loss: float = 0.0):
    """The weighted sum of `cross_entropy` over all positions, to be differentiated once.

    Args:
        model, hidden, labels: as for `scores`. weights: (B, T) float32, which get no gradient.

    Returns:
        () float32.
    """
    table, bias = model.output_table()
    count = _num_chunks(labels.shape, table.shape[0])
    rows, row_labels, row_weights = (_split(x, count) for x in (hidden, labels, weights))
    whole = _whole if count == 1 else _in_chunks

    def softmax(rows, labels, output):
        return _Softmax(model.logits(rows, output), labels, label_smoothing, z_loss)

    @ops.custom_gradient
    def total(rows, table, *bias):
        return whole(softmax, rows, row_labels, row_weights, table, bias)

    # Copies: what has a gradient of its own takes tensors and no variables.
    return total(rows, *(ops.copy(x) for x in (table, bias) if x is not None))


def _whole(softmax, rows, labels, weights, table, bias):
    """The sum of losses and its gradient, where all logits may be held at once."""
    rows, labels, weights = rows[0], labels[0], weights[0]
    narrow = ops.cast(table, rows.dtype)
    part = softmax(rows, labels, (narrow, *bias, None)[:2])

    def gradient(upstream):
        d_rows, *others = _gradients(part, upstream * weights, rows, narrow, bias)
        return d_rows[None], *others

    return ops.sum(part.losses() * weights), gradient


def _in_chunks(softmax, rows, labels, weights, table, bias):
    """The same, one chunk after the other."""
    narrow = ops.cast(table, rows.dtype)
    # Gradients of positions are computed as if the largest weight were 1, and float16 keeps its range.
    largest = ops.maximum(ops.max(weights), 1e-30)

    def body(i, state):
        total, d_rows, *others = state
        part = softmax(rows[i], labels[i], (narrow, *bias, None)[:2])
        d_chunk, *more = _gradients(part, weights[i] / largest, rows[i], narrow, bias)
        return [
            total + ops.sum(part.losses() * weights[i]),
            ops.slice_update(d_rows, (i, 0, 0), d_chunk[None]),
            *(a + b for a, b in zip(others, more, strict=True)),
        ]

    begin = [ops.zeros((), "float32"), ops.zeros_like(rows)]
    begin += [ops.zeros(value.shape, "float32") for value in (table, *bias)]
    total, *gradients = repeat(rows.shape[0], body, begin)

    def gradient(upstream):
        factor = upstream * largest
        values = (rows, table, *bias)
        return tuple(
            ops.cast(ops.cast(g, "float32") * factor, value.dtype)
            for g, value in zip(gradients, values, strict=True)
        )

    return total, gradient


def _gradients(softmax, upstream, rows, table, bias):
    """Of `rows` (R, D), of the table (V, D) and, where there is one, of the bias (V,); the last two in float32.

    Args:
        upstream: (R,), the gradient of every loss.
    """
    slopes = softmax.slopes(upstream)
    d_bias = [ops.sum(slopes, axis=0) for _ in bias]
    slopes = ops.cast(slopes, rows.dtype)
    d_table = ops.matmul(ops.transpose(slopes), rows)
    return ops.matmul(slopes, table), ops.cast(d_table, "float32"), *d_bias


class _Softmax:
    """The losses of positions and their gradients, which share the exponentials: these are computed once.

    Args:
        logits: (..., V) float32. labels: (...) int32.
    """

    def __init__(self, logits, labels, label_smoothing: float, z_loss: float):
        self._logits, self._labels = logits, labels
        self._smoothing, self._z_loss = label_smoothing, z_loss
        highest = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
        self._exponentials = ops.exp(logits - highest)
        self._total = ops.sum(self._exponentials, axis=-1)
        self._normalizer = ops.log(self._total) + highest[..., 0]
        self._chosen = ops.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]

    def losses(self):
        """(...) float32."""
        losses = self._normalizer - self._chosen
        if self._smoothing:
            # -mean log p: the cross-entropy to the uniform distribution.
            uniform = self._normalizer - ops.mean(self._logits, axis=-1)
            losses = (1 - self._smoothing) * losses + self._smoothing * uniform
        if self._z_loss:
            losses = losses + self._z_loss * ops.square(self._normalizer)
        return losses

    def slopes(self, upstream):
        """(...), the gradient of every loss -> that of the logits: (..., V)."""
        size = self._logits.shape[-1]
        factor = 1 + 2 * self._z_loss * self._normalizer if self._z_loss else 1.0
        slopes = self._exponentials * (upstream * factor / self._total)[..., None]
        if self._smoothing:
            slopes = slopes - (upstream * (self._smoothing / size))[..., None]
        # Only the label's slope is another: writing it takes no pass over all logits, as subtracting one-hots would.
        p = ops.exp(self._chosen - self._normalizer)
        of_label = p * factor - (1 - self._smoothing) - self._smoothing / size
        flat = ops.reshape(slopes, (-1, size))
        labels = ops.reshape(self._labels, (-1,))
        rows = ops.arange(ops.shape(labels)[0], dtype=labels.dtype)
        places = ops.stack([rows, labels], axis=1)
        flat = ops.scatter_update(flat, places, ops.reshape(of_label * upstream, (-1,)))
        return ops.reshape(flat, ops.shape(slopes))


def _num_chunks(shape, vocabulary_size: int) -> int:
    """1 where all logits may be held at once, or where shapes are not known before the call."""
    if None in shape:
        return 1
    return max(1, math.ceil(math.prod(shape) * vocabulary_size / CHUNK_LOGITS))


def _split(tensor, count: int):
    """(B, T, ...) -> (C, R, ...); what fills the last chunk is 0, its weights too."""
    rest = tuple(tensor.shape[2:])
    if count == 1:
        return ops.reshape(tensor, (1, -1, *rest))
    num_positions = tensor.shape[0] * tensor.shape[1]
    rows = math.ceil(num_positions / count)
    tensor = ops.reshape(tensor, (num_positions, *rest))
    room = [(0, rows * count - num_positions)] + [(0, 0)] * len(rest)
    if room[0][1]:
        tensor = ops.pad(tensor, room)
    return ops.reshape(tensor, (count, rows, *rest))
