"""The loop of `tflm.generation.decoding` inside a graph: prompts in, continuations out, no Python in between.

The same lockstep, the same sampling from a counter: the same seed gives the same tokens as `tflm.generation`.

Shapes: B batch, L the longest prompt plus max_tokens, V vocabulary, S cache length.
"""

import tensorflow as tf

from tflm.generation.sampling import next_token, penalize_repetition


def continue_prompts(
    model, functions: dict, prompts: tf.RaggedTensor, max_tokens, eos_id: int, sampling: dict
):
    """Draws up to `max_tokens` tokens behind every prompt; a row ends before it would emit `eos_id`.

    Args:
        model: a language model of `tflm.models`.
        functions: `initial_state`, `prefill` and `decode` of `export.signatures`, as concrete functions: the graph
            calls them instead of holding the model several times.
        prompts: (B, ragged) int32, B at least 1, each at least one token (begin with BOS).
        max_tokens: () int32.
        eos_id: ends a row.
        sampling: the arguments of `next_token` by name, () tensors.

    Returns:
        text (B, L) int32, prompt and continuation padded with 0, and the number of new tokens (B,) int32.
    """
    batch = tf.cast(prompts.nrows(), tf.int32)
    lengths = tf.cast(prompts.row_lengths(), tf.int32)
    prompts = tf.cast(prompts, tf.int32)
    max_tokens = tf.maximum(max_tokens, 0)
    limit = model.max_sequence_length
    capacity = tf.reduce_max(lengths) + max_tokens  # L
    # A cache that holds the whole text when it can: the tokens do not depend on its length then.
    max_length = capacity if limit is None else tf.minimum(capacity, limit)  # S
    text = prompts.to_tensor(0)
    text = tf.pad(text, [[0, 0], [0, capacity - tf.shape(text)[1]]])

    vocabulary_size = model.config.vocabulary_size
    places = tf.stack([tf.cast(prompts.value_rowids(), tf.int32), prompts.flat_values], axis=1)
    counts = tf.scatter_nd(places, tf.ones_like(places[:, 0]), (batch, vocabulary_size))
    columns = tf.range(vocabulary_size)[None, :]

    def step(name, token_ids, state, position):
        position = tf.convert_to_tensor(position)
        state = functions[name](token_ids=token_ids, position=position, **state)
        return state.pop("logits"), state

    def read(end, text):
        """The state after the tokens before `end`, as Decoder._read: the newer half where they do not fit."""
        start = tf.constant(0)
        if limit is not None:
            start = tf.where(end >= max_length, end - max_length // 2, 0)
        state = functions["initial_state"](batch_size=batch, max_length=max_length)

        def fill():
            return step("prefill", text[:, start:end], state, 0)[1]

        # Like in Decoder the last token is left to the step that draws, so there may be nothing to read.
        return tf.cond(end > start, fill, lambda: state), end - start

    def advance(position, slot, text, state, seen, ended, new):
        if limit is not None:
            state, slot = tf.cond(
                slot >= max_length, lambda: read(position, text), lambda: (state, slot)
            )
        ids = tf.ensure_shape(text[:, position : position + 1], (None, 1))
        logits, state = step("decode", ids, state, slot)
        drawn = _draw(logits[:, -1], seen, position + 1, sampling)
        in_prompt = position + 1 < lengths
        token = tf.where(in_prompt, text[:, position + 1], drawn)
        seen = tf.logical_or(seen, columns == token[:, None])
        is_new = tf.logical_not(tf.logical_or(in_prompt, ended))
        ended = tf.logical_or(ended, tf.logical_and(is_new, token == eos_id))
        is_new = tf.logical_and(is_new, tf.logical_not(ended))
        column = tf.where(is_new, token, text[:, position + 1])
        text = tf.concat(
            [text[:, : position + 1], column[:, None], text[:, position + 2 :]], axis=1
        )
        new = new + tf.cast(is_new, tf.int32)
        ended = tf.logical_or(ended, new >= max_tokens)
        return position + 1, slot + 1, text, state, seen, ended, new

    position = tf.reduce_min(lengths) - 1  # of the last token that is certain in every row
    state, slot = read(position, text)
    ended = tf.fill((batch,), max_tokens <= 0)
    start = (position, slot, text, state, counts > 0, ended, tf.zeros((batch,), tf.int32))
    shapes = (
        tf.TensorShape(()),
        tf.TensorShape(()),
        tf.TensorShape((None, None)),
        {name: tensor.shape for name, tensor in state.items()},
        tf.TensorShape((None, vocabulary_size)),
        tf.TensorShape((None,)),
        tf.TensorShape((None,)),
    )
    _, _, text, _, _, _, new = tf.while_loop(
        lambda *loop: tf.logical_not(tf.reduce_all(loop[5])),
        advance,
        start,
        shape_invariants=shapes,
    )
    return text, new


def _draw(logits, seen, position, sampling):
    """`next_token`; greedy decoding skips the sorting of the vocabulary, which changes nothing there."""

    def most_likely():
        penalized = penalize_repetition(logits, seen, sampling["repetition_penalty"])
        return tf.argmax(penalized, axis=-1, output_type=tf.int32)

    def drawn():
        return next_token(logits, seen, position, **sampling)

    return tf.cond(sampling["temperature"] <= 0, most_likely, drawn)
