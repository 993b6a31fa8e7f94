"""Cross-entropy over a large vocabulary, of which a step computes a part: the frequent words, and some of the rest.

The softmax's denominator Z is a sum over V words. The first `head` of them, the frequent ones of a word tokenizer, are
summed as they are; the others, the tail, are estimated from a sample that all positions of the batch share, without
bias: the tail is cut into strata of w neighbouring words, one word is drawn of each, and counts w times
(importance sampling as in Bengio and Senecal 2008 and Jean et al. 2015; the strata keep its variance small). The label
is always summed exactly, and once. Only training is approximate: a score takes all words.

Shapes: B batch, T time, N = B * T positions, D hidden, V vocabulary, H head, K strata.
"""

import math

from keras import ops

REMOVED = -1e30  # the logit of a word that is not summed


def num_strata(vocabulary_size: int, head: int, tail: int) -> int:
    """K: at most `tail` strata of equal width that cover all words behind the head."""
    width = math.ceil((vocabulary_size - head) / tail)
    return math.ceil((vocabulary_size - head) / width)


def loss(model, hidden, labels, weights, head: int, uniform):
    """An estimate of the weighted sum of -log p(label), to be differentiated.

    Args:
        model: a language model of `tflm.models`.
        hidden: (B, T, D). labels: (B, T) int32. weights: (B, T) float32.
        head: H, words with ids below it are summed exactly; below V.
        uniform: (K,) float32 in [0, 1), new for every step, K as `num_strata` gives it.

    Returns:
        () float32.
    """
    table, bias = model.output_table()
    size = table.shape[0]
    strata = uniform.shape[0]
    width = math.ceil((size - head) / strata)
    hidden = ops.reshape(hidden, (-1, hidden.shape[-1]))  # (N, D)
    labels, weights = ops.reshape(labels, (-1,)), ops.reshape(weights, (-1,))
    table = ops.convert_to_tensor(table)

    # The last stratum may be narrower; a word is drawn of those that it has.
    first = head + width * ops.arange(strata, dtype="int32")
    widths = ops.minimum(width, size - first)
    offsets = ops.cast(uniform * ops.cast(widths, "float32"), "int32")
    drawn = first + ops.minimum(offsets, widths - 1)  # (K,)
    # One look-up: its gradient is one table.
    rows = ops.take(table, ops.concatenate([drawn, labels]), axis=0)
    drawn_rows, label_rows = rows[:strata], rows[strata:]

    head_logits = model.logits(hidden, (table[:head], None if bias is None else bias[:head]))
    drawn_bias = None if bias is None else ops.take(bias, drawn)
    tail_logits = model.logits(hidden, (drawn_rows, drawn_bias)) + ops.log(
        ops.cast(widths, "float32")
    )
    tail_logits = ops.where(drawn[None, :] == labels[:, None], REMOVED, tail_logits)
    label_logits = ops.sum(ops.cast(hidden, "float32") * label_rows, axis=-1)
    if bias is not None:
        label_logits = label_logits + ops.take(bias, labels)
    # The head has its labels among its words; one of the tail is added.
    added = ops.where(labels < head, REMOVED, label_logits)
    normalizer = ops.logaddexp(
        ops.logaddexp(ops.logsumexp(head_logits, axis=-1), ops.logsumexp(tail_logits, axis=-1)),
        added,
    )
    return ops.sum((normalizer - label_logits) * weights)
