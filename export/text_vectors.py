"""The signatures of a SavedModel that give vectors and nearest words, for ids and for strings.

Shapes: N texts or ids, B batch, T time, D width, V vocabulary, K neighbours.
"""

import tensorflow as tf

from export import run_kind, signatures, subword_graph
from tflm.errors import UserError
from tflm.text.tokenizer import UNK_ID

TEXT = tf.TensorSpec((None,), tf.string, name="text")
TOKEN_IDS = tf.TensorSpec((None, None), tf.int32, name="token_ids")
FLAT_TOKEN_IDS = tf.TensorSpec((None,), tf.int32, name="token_ids")
NUM_NEIGHBOURS = tf.TensorSpec((), tf.int32, name="k")


def by_ids(run, table) -> dict:
    """`embed`, and of word vectors `nearest`.

    Args:
        table: a signatures.VectorTable.
    """
    functions = {"embed": signatures.traced(signatures.embed(table), input_signature=[TOKEN_IDS])}
    if run_kind.has_word_vectors(run.experiment):
        functions["nearest"] = signatures.traced(
            signatures.nearest(table), input_signature=[FLAT_TOKEN_IDS, NUM_NEIGHBOURS]
        )
    return functions


def by_text(run, module: tf.Module, table, twin, name: str = "text") -> dict:
    """`embed_text`, and of word vectors `nearest_text`.

    Args:
        module: made the owner of the rows of n-grams, where there are any.
        table: as above.
        twin: the tokenizer inside the graph.
        name: what stands behind `embed_` and `nearest_`.
    """
    module.subwords = subword_graph.of_run(run)
    if module.subwords is None:
        average = _average_of_tokens(table, twin)
    else:
        average = _average_of_words(table, twin, module.subwords)

    def embed_text(text):
        return {"vectors": average(text)[1]}

    functions = {f"embed_{name}": signatures.traced(embed_text, input_signature=[TEXT])}
    if run_kind.has_word_vectors(run.experiment):
        pieces = [run.tokenizer.piece(i) for i in range(run.model.config.vocabulary_size)]

        def nearest_text(text, k):
            ids, vectors = average(text)
            own = ids.to_tensor(-1)
            own = tf.pad(own, [[0, 0], [0, 1]], constant_values=-1)  # at least one column
            neighbours, similarity = signatures.neighbours_of(table, vectors, own, k)
            return {"pieces": tf.gather(tf.constant(pieces), neighbours), "similarity": similarity}

        functions[f"nearest_{name}"] = signatures.traced(
            nearest_text, input_signature=[TEXT, NUM_NEIGHBOURS]
        )
    return functions


def text_twin(tokenizer):
    """The tokenizer's tf.Module, or None where it has none (words split by jieba)."""
    try:
        return tokenizer.in_graph()
    except UserError:
        return None


def split_twin(tokenizer):
    """A twin of a word tokenizer for texts whose words stand between white space: for jieba's, which has no other."""
    from tflm.text.in_graph import WordInGraph
    from tflm.text.word import SPACING, words_or_newline_pattern

    pattern = words_or_newline_pattern()
    return WordInGraph(tokenizer.pieces, pattern, SPACING["jieba"], tokenizer.normalization)


def _average_of_tokens(table, twin):
    """text (N,) -> the ids of its tokens (N, None) ragged, and the average of their vectors (N, D)."""

    def average(text):
        ids = twin.tokenize(text)
        return ids, _mean(ids, tf.gather(tf.convert_to_tensor(table.rows), ids.flat_values))

    return average


def _average_of_words(table, twin, subwords):
    """The same for words; one that is not in the vocabulary has the vector of its n-grams."""

    def average(text):
        words = twin.words(text)
        ids = words.with_flat_values(twin.word_ids(words.flat_values))
        vectors = tf.gather(tf.convert_to_tensor(table.rows), ids.flat_values)
        unknown = tf.where(ids.flat_values == UNK_ID)  # (U, 1)
        spelt = subwords.vectors(tf.gather_nd(words.flat_values, unknown))
        return ids, _mean(ids, tf.tensor_scatter_nd_update(vectors, unknown, spelt))

    return average


def _mean(ragged, vectors):
    """The mean of each row's vectors, zeros for an empty row: (N, D)."""
    total = tf.reduce_sum(ragged.with_flat_values(vectors), axis=1)
    return total / tf.cast(tf.maximum(ragged.row_lengths(), 1), vectors.dtype)[:, None]
