"""FastText's vectors of unknown words inside a graph: from the string to the mean of the rows of its n-grams.

The twin of `tflm.text.subwords`, which says what an n-gram is and where its hash comes from. Nothing but operators of
TensorFlow itself, so that a model server needs no other library.

Shapes: N words, G n-grams, D hidden.
"""

import tensorflow as tf

from tflm.text.subwords import Subwords
from tflm.vectors.word_vectors import END_OF_LINE

_OFFSET, _PRIME, _MASK = 2166136261, 16777619, 0xFFFFFFFF
_CHARACTER_BYTES = 4  # of UTF-8, at most


class SubwordsInGraph(tf.Module):
    """Words as the means of their n-grams' rows.

    Args:
        subwords: which n-grams a word has; `max_n` at least 1.
        rows: (buckets, D) float32.
    """

    def __init__(self, subwords: Subwords, rows):
        super().__init__()
        self._subwords = subwords
        self.rows = tf.Variable(rows, trainable=False, name="buckets")

    def ngrams(self, words):
        """(N,) tf.string -> (N, None) ragged tf.string, the shorter n-grams first."""
        characters = tf.strings.unicode_split(tf.strings.join(["<", words, ">"]), "UTF-8")
        widths = range(max(self._subwords.min_n, 1), self._subwords.max_n + 1)
        kinds = [tf.strings.ngrams(characters, n, separator="") for n in widths if n > 1]
        if 1 in widths:  # < and > alone are none
            kinds.insert(0, characters[:, 1:-1])
        return tf.concat(kinds, axis=1)

    def bucket_ids(self, words):
        """(N,) tf.string -> (N, None) ragged int64, in the order of `ngrams`."""
        ngrams = self.ngrams(words)
        hashes = fnv1a(ngrams.flat_values, self._subwords.max_n * _CHARACTER_BYTES)
        return ngrams.with_flat_values(hashes % self._subwords.buckets)

    def vectors(self, words):
        """(N,) tf.string -> (N, D); zeros for a word without n-grams."""
        ids = self.bucket_ids(words)
        rows = ids.with_flat_values(tf.gather(self.rows, ids.flat_values))
        count = tf.cast(tf.maximum(ids.row_lengths(), 1), self.rows.dtype)
        means = tf.reduce_sum(rows, axis=1) / count[:, None]
        return tf.where((words == END_OF_LINE)[:, None], 0.0, means)


def fnv1a(strings, longest: int):
    """fastText's hash: FNV-1a of 32 bits, but for a byte above 127, which is extended by ones (a signed char).

    Args:
        strings: (G,) tf.string.
        longest: no string has more bytes.

    Returns:
        (G,) int64, from 0 to 2^32 - 1.
    """
    data = tf.io.decode_raw(strings, tf.int8, fixed_length=longest)  # zeros behind the end
    lengths = tf.strings.length(strings)
    hashes = tf.fill(tf.shape(strings), tf.constant(_OFFSET, tf.int64))
    for place in range(longest):
        byte = tf.cast(data[:, place], tf.int64) & _MASK
        # Below 2^57, so int64 holds it; not every server's build multiplies uint32.
        grown = ((hashes ^ byte) * _PRIME) & _MASK
        hashes = tf.where(place < lengths, grown, hashes)
    return hashes


def of_run(run) -> SubwordsInGraph | None:
    """The n-grams of a FastText run over words; None where unknown words have no vectors of their own."""
    config = run.model.config
    if not getattr(config, "max_n", 0) or run.tokenizer.kind != "word":
        return None
    rows = run.model.tables()["input"].value[config.vocabulary_size :]
    return SubwordsInGraph(Subwords(config.min_n, config.max_n, config.buckets), rows)
