"""What an exported encoder-decoder can be asked for by ids, as functions of named tensors; the same in every format.

The state is a dict. What begins with `source_` in it is the source as the encoder read it: a step reads it, changes
nothing in it and does not hand it out again. Everything else comes out of a step under the name it went in.

Shapes: B batch, S source time, T target time, V vocabulary of the target.
"""

import numpy as np
import tensorflow as tf

from export.signatures import traced
from tflm.generation.beam import SOURCE_PREFIX

CACHE_PREFIX = "kv_cache_"  # (B, C, ...), C tokens of the target


def by_ids(model) -> dict:
    """`score`, `encode` and `decode` at any shape, as concrete functions."""
    source_ids = tf.TensorSpec((None, None), tf.int32, name="source_ids")
    token_ids = tf.TensorSpec((None, None), tf.int32, name="token_ids")
    scalars = {name: tf.TensorSpec((), tf.int32, name=name) for name in ("max_length", "position")}
    functions = {
        "score": traced(score(model)).get_concrete_function(
            source_ids=source_ids, token_ids=token_ids
        ),
        "encode": traced(encode(model)).get_concrete_function(
            source_ids=source_ids, max_length=scalars["max_length"]
        ),
    }
    state = functions["encode"].structured_outputs
    functions["decode"] = traced(step(model)).get_concrete_function(
        token_ids=token_ids, position=scalars["position"], **specs_of(state)
    )
    return functions


def by_fixed_ids(model, source_length: int, max_length: int | None) -> dict:
    """`encode` and `decode` of one source of `source_length` tokens, padding included, for a .tflite."""
    source_ids = tf.TensorSpec((1, source_length), tf.int32, name="source_ids")
    encode = traced(encode_of_fixed_length(model, max_length)).get_concrete_function(source_ids)
    decode = traced(step(model, checked=False)).get_concrete_function(
        token_ids=tf.TensorSpec((1, 1), tf.int32, name="token_ids"),
        position=tf.TensorSpec((), tf.int32, name="position"),
        **specs_of(encode.structured_outputs),
    )
    return {"encode": encode, "decode": decode}


def specs_of(state: dict) -> dict:
    """The tensors of a state as inputs of the same names."""
    return {name: tf.TensorSpec(t.shape, t.dtype, name=name) for name, t in state.items()}


def score(model):
    """source_ids (B, S), token_ids (B, T) int32, BOS first -> logits (B, T, V)."""

    def score(source_ids, token_ids):
        _check_source(model, source_ids)
        require_within(tf.shape(token_ids)[1], model.max_sequence_length, "target")
        return {"logits": model(token_ids, source_ids, training=False)}

    return score


def encode(model):
    """source_ids (B, S) int32, padded with 0, and the most tokens of a target -> the state before BOS."""

    def encode(source_ids, max_length):
        _check_source(model, source_ids)
        require_within(max_length, model.max_sequence_length, "target")
        return model.initial_state(source_ids, max_length)

    return encode


def encode_of_fixed_length(model, max_length: int | None):
    """source_ids (1, S) int32, padded with 0 -> the state before BOS.

    Args:
        max_length: the most tokens of a target.
    """

    def encode_of_fixed_length(source_ids):
        state = model.initial_state(source_ids, max_length)
        # No id is below 0, and no converter knows that: an empty cache is made when it is wanted. As a constant it
        # would stand in the file.
        zero = tf.minimum(source_ids[0, 0], 0)
        return {name: _zeros_made_late(value, zero) for name, value in state.items()}

    return encode_of_fixed_length


def step(model, checked: bool = True):
    """token_ids (B, T), position () and the state by name -> logits (B, T, V) and what the step changed of the state.

    Args:
        checked: whether the graph refuses what does not fit the cache; a .tflite cannot, it would need an Assert.
    """

    def step(token_ids, position, **state):
        if checked:
            _require_room(position + tf.shape(token_ids)[1], state)
        logits, new_state = model.step(token_ids, state, position, training=False)
        return {"logits": logits, **changed(new_state)}

    return step


def changed(state: dict) -> dict:
    """The part of a state that a step changes."""
    return {name: value for name, value in state.items() if not name.startswith(SOURCE_PREFIX)}


def _zeros_made_late(value, zero):
    constant = tf.get_static_value(value)
    if constant is None:
        return value
    if np.any(constant):
        raise ValueError("A state that begins with other constants than zeros is not foreseen.")
    return tf.fill(constant.shape, tf.cast(zero, value.dtype))


def _check_source(model, source_ids):
    require_within(tf.shape(source_ids)[1], model.max_source_length, "source")


def _require_room(end, state: dict):
    caches = [value for name, value in state.items() if name.startswith(CACHE_PREFIX)]
    if caches:
        fits = end <= tf.shape(caches[0])[1]
        message = "`position` + the number of `token_ids` must be at most the length of the cache."
        tf.debugging.Assert(fits, [message])


def require_within(length, limit, what: str):
    """Refuses in the graph what is longer than the model can read."""
    if limit is not None:
        message = f"The longest {what} of this model is {limit} tokens; more were given."
        tf.debugging.Assert(length <= limit, [message])
