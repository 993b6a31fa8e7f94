"""Cross-entropy to the next token, without ever holding the logits of a whole batch where they are many.

With V = 50,000 tokens and N = 4,096 positions the logits are 819 MB in float32, and a gradient takes them three times.
Where they are more than CHUNK_LOGITS, positions are taken in chunks, one after the other. The gradient of a sum of
losses is known with the losses,

    d loss / d logits = p (1 + 2 z log Z) - (1 - s) [i = label] - s / V

so the forward pass already adds up that of the table and keeps that of the hidden states: nothing is computed twice,
and no logits are kept.

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
    normalizer = ops.logsumexp(logits, axis=-1)
    return _losses(logits, normalizer, labels, label_smoothing, z_loss)


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
    if count == 1:
        losses = cross_entropy(model.logits(hidden), labels, label_smoothing, z_loss)
        return ops.sum(losses * weights)
    label_chunks, weight_chunks = _split(labels, count), _split(weights, count)
    # Gradients of positions are computed as if the largest weight were 1, and float16 keeps its range.
    largest = ops.maximum(ops.max(weights), 1e-30)

    @ops.custom_gradient
    def total(hidden_chunks, table, *bias):
        output = (table, *bias, None)[:2]
        narrow = ops.cast(table, hidden_chunks.dtype)

        def body(i, state):
            total, d_hidden, d_table, *d_bias = state
            rows, row_labels, row_weights = hidden_chunks[i], label_chunks[i], weight_chunks[i]
            logits = model.logits(rows, output)
            normalizer = ops.logsumexp(logits, axis=-1)
            losses = _losses(logits, normalizer, row_labels, label_smoothing, z_loss)
            slopes = _slopes(logits, normalizer, row_labels, label_smoothing, z_loss)
            slopes = slopes * (row_weights / largest)[:, None]
            d_bias = [d + ops.sum(slopes, axis=0) for d in d_bias]
            slopes = ops.cast(slopes, rows.dtype)
            d_rows = ops.matmul(slopes, narrow)
            d_table = d_table + ops.cast(ops.matmul(ops.transpose(slopes), rows), "float32")
            return [
                total + ops.sum(losses * row_weights),
                ops.slice_update(d_hidden, (i, 0, 0), d_rows[None]),
                d_table,
                *d_bias,
            ]

        begin = [ops.zeros((), "float32"), ops.zeros_like(hidden_chunks)]
        begin += [ops.zeros(value.shape, "float32") for value in (table, *bias)]
        total, *gradients = repeat(count, body, begin)

        def gradient(upstream):
            factor = upstream * largest
            values = (hidden_chunks, table, *bias)
            return tuple(
                ops.cast(ops.cast(g, "float32") * factor, value.dtype)
                for g, value in zip(gradients, values, strict=True)
            )

        return total, gradient

    # Copies: what has a gradient of its own takes tensors and no variables.
    return total(_split(hidden, count), *(ops.copy(x) for x in (table, bias) if x is not None))


def _losses(logits, normalizer, labels, label_smoothing, z_loss):
    chosen = ops.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    losses = normalizer - chosen
    if label_smoothing:
        # -mean log p: the cross-entropy to the uniform distribution.
        uniform = normalizer - ops.mean(logits, axis=-1)
        losses = (1 - label_smoothing) * losses + label_smoothing * uniform
    if z_loss:
        losses = losses + z_loss * ops.square(normalizer)
    return losses


def _slopes(logits, normalizer, labels, label_smoothing, z_loss):
    """d loss / d logits of every row: (R, V)."""
    size = logits.shape[-1]
    slopes = ops.exp(logits - normalizer[:, None])
    if z_loss:
        slopes = slopes * (1 + 2 * z_loss * normalizer)[:, None]
    is_label = ops.arange(size, dtype="int32")[None, :] == labels[:, None]
    slopes = slopes - ops.where(is_label, 1 - label_smoothing, 0.0)
    return slopes - label_smoothing / size if label_smoothing else slopes


def _num_chunks(shape, vocabulary_size: int) -> int:
    """1 where all logits may be held at once, or where shapes are not known before the call."""
    if None in shape:
        return 1
    return max(1, math.ceil(math.prod(shape) * vocabulary_size / CHUNK_LOGITS))


def _split(tensor, count: int):
    """(B, T, ...) -> (C, R, ...); what fills the last chunk is 0, its weights too."""
    rest = tuple(tensor.shape[2:])
    num_positions = tensor.shape[0] * tensor.shape[1]
    rows = math.ceil(num_positions / count)
    tensor = ops.reshape(tensor, (num_positions, *rest))
    room = [(0, rows * count - num_positions)] + [(0, 0)] * len(rest)
    if room[0][1]:
        tensor = ops.pad(tensor, room)
    return ops.reshape(tensor, (count, rows, *rest))
