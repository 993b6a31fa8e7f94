"""What an exported model can be asked for, as functions of named tensors.

Every format takes its functions from here, so that they mean the same in all of them.

Shapes: B batch, T time, D width of the embedding, V vocabulary, S cache length, N tokens asked for, K neighbours.
"""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from export import run_kind
from tflm.run_kind import is_language_model, is_sequence_to_sequence
from tflm.text.tokenizer import SPECIAL_PIECES

NUM_SPECIAL_IDS = len(SPECIAL_PIECES)
NORM_FLOOR = 1e-9  # keeps the cosine of a vector of zeros finite


class VectorTable(tf.Module):
    """The vectors of all tokens, as the signatures look them up.

    Attributes:
        rows: (V, D), the model's own variable, or a new one of what the model makes of several (FastText, GloVe).
        lengths: (V,), their norms; None where nothing asks for neighbours.
    """

    def __init__(self, run):
        super().__init__()
        vectors = run.model.embeddings()
        is_variable = isinstance(vectors, keras.Variable)
        self.rows = vectors.value if is_variable else tf.Variable(vectors, trainable=False)
        self.lengths = None
        if run_kind.has_word_vectors(run.experiment):
            # Not left to the graph: the converter of .tflite computes norms beforehand, and from 2^24 numbers on
            # (167,773 words of 100) it gets them wrong.
            rows = self.rows.numpy()
            lengths = np.sqrt(np.einsum("vd,vd->v", rows, rows))
            self.lengths = tf.Variable(np.maximum(lengths, NORM_FLOOR), trainable=False)


def module_of(run, table: VectorTable | None = None) -> tf.Module:
    """A module that owns the variables an artifact needs, so that they are saved with it.

    A module that holds the Keras model alone is converted without complaint to a file without weights.
    """
    module = tf.Module(name="tflm")
    module.vector_table = table
    if is_language_model(run.experiment) or is_sequence_to_sequence(run.experiment):
        module.model_variables = [variable.value for variable in run.model.variables]
    return module


def traced(function, input_signature=None):
    """A tf.function of what holds no Python control flow on tensors: nothing for AutoGraph to rewrite."""
    return tf.function(function, input_signature=input_signature, autograph=False)


@contextlib.contextmanager
def portable_cache_update():
    """Traces the write into the KV cache as slices and a concatenation.

    `ops.slice_update` gives the op XlaDynamicUpdateSlice, which readers of a SavedModel other than TensorFlow lack. A
    .tflite wants it (it becomes DYNAMIC_UPDATE_SLICE there), so it is replaced only inside this context.
    """
    original = keras.ops.slice_update
    keras.ops.slice_update = _concatenated_update
    try:
        yield
    finally:
        keras.ops.slice_update = original


@contextlib.contextmanager
def one_table(model):
    """Traces so that a .tflite holds a tied embedding once.

    The converter multiplies the gain of the norm before the output into the output table, which is then another table
    than the one that tokens are looked up in.
    """
    original = keras.ops.matmul

    def matmul(x1, x2):
        if len(x2.shape) == 2 and x2.shape[-1] == model.config.vocabulary_size:
            x1 = _apart(x1)
        return original(x1, x2)

    keras.ops.matmul = matmul
    try:
        yield
    finally:
        keras.ops.matmul = original


def _apart(x):
    """`x`, through an operator that changes no number but keeps the converter from folding what is around it."""
    return tf.maximum(x, x.dtype.min)


def _concatenated_update(inputs, start_indices, updates):
    # The cache is written along axis 1 only: (B, S, K, Dh).
    start = start_indices[1]
    end = start + tf.shape(updates)[1]
    updated = tf.concat([inputs[:, :start], updates, inputs[:, end:]], axis=1)
    return tf.ensure_shape(updated, inputs.shape)


def score(model):
    """token_ids (B, T) int32 -> logits (B, T, V), from the start of a text."""

    def score(token_ids):
        _check_context(model, tf.shape(token_ids)[1])
        return {"logits": model(token_ids, training=False)}

    return score


def initial_state(model):
    """batch_size, max_length -> the state before the first token. `max_length` is S where the state is a cache."""

    def initial_state(batch_size, max_length):
        _check_context(model, max_length)
        return model.initial_state(batch_size, max_length)

    return initial_state


def step(model, checked: bool = True):
    """token_ids (B, T), position () and the state by name -> logits (B, T, V) and the state after.

    Args:
        checked: whether the graph refuses what does not fit the cache; a .tflite cannot, it would need an Assert.
    """

    def step(token_ids, position, **state):
        if checked and model.max_sequence_length is not None:
            cache_length = tf.shape(next(iter(state.values())))[1]
            _require(
                position + tf.shape(token_ids)[1] <= cache_length,
                "`position` + the number of `token_ids` must be at most the length of the cache.",
            )
        logits, new_state = model.step(token_ids, state, position, training=False)
        return {"logits": logits, **new_state}

    return step


def prefill(model):
    """As `step`, but gives the state alone: the last token of a prompt goes into `decode`, which gives the logits."""

    def prefill(token_ids, position, **state):
        return model.step(token_ids, state, position, training=False)[1]

    return prefill


def embed(table: VectorTable):
    """token_ids (B, T) -> vectors (B, T, D), the input embedding, or the word vectors."""

    def embed(token_ids):
        return {"vectors": tf.gather(tf.convert_to_tensor(table.rows), token_ids)}

    return embed


def nearest(table: VectorTable, num_neighbours: int | None = None):
    """token_ids (N,) -> the tokens of most similar vectors, by cosine, without the token itself.

    Args:
        num_neighbours: K; None makes it an input, `k`.

    Returns:
        A function that gives token_ids (N, K) int32 and similarity (N, K), the most similar first.
    """

    def nearest(token_ids, k=num_neighbours):
        vectors = tf.gather(tf.convert_to_tensor(table.rows), token_ids)
        ids, similarity = neighbours_of(table, vectors, token_ids[:, None], k)
        return {"token_ids": ids, "similarity": similarity}

    return nearest


def neighbours_of(table: VectorTable, vectors, excluded, k):
    """The rows of `table` nearest to `vectors` by cosine.

    Args:
        vectors: (N, D).
        excluded: (N, M) int32, rows that are no answer: the token itself. Special tokens never are.
        k: K.

    Returns:
        ids (N, K) int32, cosine (N, K) float32.
    """
    # Lengths, not a normalised table: that would be a second table in the file.
    lengths = tf.maximum(tf.norm(vectors, axis=-1, keepdims=True), NORM_FLOOR)  # (N, 1)
    rows = tf.convert_to_tensor(table.rows)
    products = _apart(tf.matmul(vectors, rows, transpose_b=True))  # (N, V)
    cosine = products / tf.convert_to_tensor(table.lengths) / lengths
    ids = tf.range(rows.shape[0], dtype=tf.int32)
    is_excluded = tf.reduce_any(tf.equal(excluded[:, :, None], ids), axis=1)
    is_excluded = tf.logical_or(is_excluded, ids < NUM_SPECIAL_IDS)
    similarity, ids = tf.math.top_k(tf.where(is_excluded, -2.0, cosine), k)
    return ids, similarity


def _check_context(model, length):
    limit = model.max_sequence_length
    if limit is not None:
        _require(length <= limit, f"The context of this model is {limit} tokens; more were given.")


def _require(condition, message):
    tf.debugging.Assert(condition, [message])
