"""From the logits of one position to the next token.

Every function takes and returns tensors and draws its random numbers from a counter, so the same seed gives the same
text in Keras on every backend, in a SavedModel and in a .tflite.

Shapes: B batch, V vocabulary.
"""

import dataclasses

from keras import ops

from tflm.errors import UserError

REMOVED = -1e30  # the logit of a token that may not be drawn


@dataclasses.dataclass
class SamplingConfig:
    """temperature 0 is greedy; top_k 0, top_p 1, min_p 0 and repetition_penalty 1 change nothing."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self):
        for name, low, high in (
            ("temperature", 0, 100),
            ("top_k", 0, 2**31 - 1),
            ("top_p", 0, 1),
            ("min_p", 0, 1),
            ("repetition_penalty", 0.01, 100),
            ("seed", 0, 2**31 - 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"`{name}` must be from {low} to {high}. Received: {value}.")


def uniform(seed, position, shape):
    """Numbers in (0, 1), a pure function of seed, position and place in `shape`.

    A counter goes through the finaliser of MurmurHash3 (Appleby 2011): integer arithmetic modulo 2^32 only, which
    every runtime computes alike.

    Args:
        seed: () int32. position: () int32. shape: (B, V) of Python ints or tensors.

    Returns:
        (B, V) float32.
    """
    rows, columns = shape
    row = ops.cast(ops.arange(rows, dtype="int32"), "uint32")[:, None]
    column = ops.cast(ops.arange(columns, dtype="int32"), "uint32")[None, :]
    key = _mix(ops.cast(seed, "uint32") * _u32(0x9E3779B9) + ops.cast(position, "uint32"))
    key = _mix(key + row * _u32(0x85EBCA6B))
    bits = _mix(key + column * _u32(0xC2B2AE35))
    # 23 bits and half a step are what a float32 holds: with one bit more the largest number would be rounded to 1,
    # and its noise would be infinite.
    return (ops.cast(ops.right_shift(bits, _u32(9)), "float32") + 0.5) * 2.0**-23


def _u32(value: int):
    return ops.convert_to_tensor(value, "uint32")


def _mix(x):
    x = ops.bitwise_xor(x, ops.right_shift(x, _u32(16))) * _u32(0x85EBCA6B)
    x = ops.bitwise_xor(x, ops.right_shift(x, _u32(13))) * _u32(0xC2B2AE35)
    return ops.bitwise_xor(x, ops.right_shift(x, _u32(16)))


def penalize_repetition(logits, seen, penalty):
    """Keskar et al. 2019, "CTRL", equation in section 4.1, in the sign-aware form in general use.

    Args:
        logits: (B, V). seen: (B, V) bool, tokens already in the text. penalty: () float32, 1 changes nothing.
    """
    penalized = ops.where(logits > 0, logits / penalty, logits * penalty)
    return ops.where(seen, penalized, logits)


def keep_likely(logits, top_k, top_p, min_p):
    """Removes the tokens that top-k, nucleus (Holtzman et al. 2020) or min-p (Nguyen et al. 2024) exclude.

    The most likely token always stays; tokens that tie with the last one kept stay too.

    Args:
        logits: (B, V) float32. top_k: () int32, 0 for all. top_p, min_p: () float32.
    """
    vocabulary_size = ops.shape(logits)[-1]
    descending = -ops.sort(-logits, axis=-1)
    last = ops.where(top_k > 0, ops.minimum(top_k, vocabulary_size), vocabulary_size) - 1
    kth = ops.take(descending, ops.reshape(last, (1,)), axis=-1)  # (B, 1)
    probabilities = ops.softmax(descending, axis=-1)
    before = ops.cumsum(probabilities, axis=-1) - probabilities  # mass of the more likely tokens
    in_nucleus = ops.logical_or(before < top_p, ops.arange(vocabulary_size)[None, :] == 0)
    # The sum may be rounded to 1 before its end; top_p = 1 keeps all the same.
    in_nucleus = ops.logical_or(in_nucleus, top_p >= 1)
    nucleus = ops.min(ops.where(in_nucleus, descending, -REMOVED), axis=-1, keepdims=True)
    best = descending[:, :1]
    # p >= min_p * p_max, in logits; min_p = 0 gives a very low threshold.
    floor = best + ops.log(ops.maximum(min_p, 1e-30))
    threshold = ops.maximum(ops.maximum(kth, nucleus), floor)
    return ops.where(logits >= threshold, logits, REMOVED)


def next_token(logits, seen, position, temperature, top_k, top_p, min_p, repetition_penalty, seed):
    """Draws one token for every row, by the Gumbel-max trick (Gumbel 1954).

    Args:
        logits: (B, V) float32.
        seen: (B, V) bool.
        position: () int32, the position of the token to be drawn.
        the rest: () tensors or numbers, as in SamplingConfig. temperature 0 takes the most likely token.

    Returns:
        (B,) int32.
    """
    temperature = ops.cast(temperature, "float32")
    logits = penalize_repetition(logits, seen, ops.cast(repetition_penalty, "float32"))
    greedy = temperature <= 0
    scaled = logits / ops.where(greedy, 1.0, temperature)
    kept = keep_likely(
        scaled, ops.cast(top_k, "int32"), ops.cast(top_p, "float32"), ops.cast(min_p, "float32")
    )
    noise = -ops.log(-ops.log(uniform(seed, position, (ops.shape(logits)[0], logits.shape[-1]))))
    choice = ops.where(greedy, logits, kept + noise)
    return ops.cast(ops.argmax(choice, axis=-1), "int32")
