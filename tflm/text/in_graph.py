"""Tokenizers as TensorFlow ops: the same ids and the same text as their Python twins.

Every twin is a `tf.Module` to be put inside a SavedModel:

    tokenize((N,) tf.string) -> (N, None) ragged int32
    detokenize((N, None) ragged int32) -> (N,) tf.string

Strings are UTF-8; bytes that are not are read as `bytes.decode("utf-8", "replace")` reads them.
SentencePiece, WordPiece, `nfc` and `nfkc` use ops of tensorflow_text: a program that loads such a SavedModel
imports tensorflow_text first. The others need nothing but TensorFlow.
"""

import tensorflow as tf

from tflm.text.normalize_in_graph import REPLACEMENT, Normalize, valid_utf8
from tflm.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, SPECIAL_PIECES, UNK_ID

FIRST_PIECE_ID = len(SPECIAL_PIECES)
STRINGS = tf.TensorSpec([None], tf.string)
IDS = tf.RaggedTensorSpec([None, None], tf.int32)


class TokenizerInGraph(tf.Module):
    """What the twins share: normalisation before, dropping the special ids after."""

    special_ids, unk_id = (PAD_ID, UNK_ID, BOS_ID, EOS_ID), UNK_ID

    def __init__(self, vocabulary_size: int, normalization=()):
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self._normalize = Normalize(normalization)

    @tf.function(input_signature=[STRINGS])
    def tokenize(self, strings):
        """(N,) tf.string -> (N, None) ragged int32."""
        return self._tokenize(self._normalize(strings))

    @tf.function(input_signature=[IDS])
    def detokenize(self, ids):
        """(N, None) ragged int32 -> (N,) tf.string; as `Tokenizer.decode`."""
        special = tf.constant([i for i in self.special_ids if i != self.unk_id])
        is_special = tf.reduce_any(ids.flat_values[:, None] == special, axis=1)
        ids = tf.ragged.boolean_mask(ids, ids.with_flat_values(~is_special))
        values = ids.flat_values
        known = (values >= 0) & (values < self.vocabulary_size)
        return self._detokenize(ids.with_flat_values(tf.where(known, values, self.unk_id)))


class ByteInGraph(TokenizerInGraph):
    """The twin of `ByteTokenizer`."""

    def __init__(self, normalization=()):
        super().__init__(FIRST_PIECE_ID + 256, normalization)

    def _tokenize(self, strings):
        codes = tf.strings.bytes_split(strings)
        # The byte of a one-byte string.
        values = tf.cast(tf.io.decode_raw(codes.flat_values, tf.uint8), tf.int32)
        return codes.with_flat_values(tf.reshape(values, [-1]) + FIRST_PIECE_ID)

    def _detokenize(self, ids):
        single = tf.constant([bytes([byte]) for byte in range(256)])
        # <unk> becomes 0xFF, which is never part of UTF-8.
        byte = tf.where(ids.flat_values == UNK_ID, 0xFF, ids.flat_values - FIRST_PIECE_ID)
        joined = tf.strings.reduce_join(ids.with_flat_values(tf.gather(single, byte)), axis=-1)
        return valid_utf8(joined)


class CharacterInGraph(TokenizerInGraph):
    """The twin of `CharacterTokenizer`: a binary search in the sorted code points."""

    def __init__(self, characters, normalization=()):
        super().__init__(FIRST_PIECE_ID + len(characters), normalization)
        self._codes = [ord(char) for char in characters]

    def _tokenize(self, strings):
        order = sorted(range(len(self._codes)), key=self._codes.__getitem__)
        known = tf.constant([self._codes[i] for i in order])
        token_ids = tf.constant([i + FIRST_PIECE_ID for i in order])
        codes = tf.strings.unicode_decode(strings, "UTF-8", replacement_char=REPLACEMENT)
        place = tf.minimum(tf.searchsorted(known, codes.flat_values), len(order) - 1)
        found = tf.gather(known, place) == codes.flat_values
        return codes.with_flat_values(tf.where(found, tf.gather(token_ids, place), UNK_ID))

    def _detokenize(self, ids):
        # Special ids are gone by now, except <unk>.
        codes = tf.constant([REPLACEMENT] * FIRST_PIECE_ID + self._codes)
        codes = ids.with_flat_values(tf.gather(codes, ids.flat_values))
        return tf.strings.unicode_encode(codes, "UTF-8")


class WordInGraph(TokenizerInGraph):
    """The twin of `WordTokenizer`, by RE2 and a lookup table; `words` gives the words themselves."""

    def __init__(self, words, pattern: str, spacing, normalization=()):
        super().__init__(FIRST_PIECE_ID + len(words), normalization)
        self._pieces = [piece.encode() for piece in (*SPECIAL_PIECES, *words)]
        self._pattern = f"({pattern})"
        self._spacing = spacing
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(self._pieces[FIRST_PIECE_ID:]),
                tf.range(FIRST_PIECE_ID, len(self._pieces), dtype=tf.int32),
            ),
            default_value=UNK_ID,
        )

    @tf.function(input_signature=[STRINGS])
    def words(self, strings):
        """(N,) tf.string -> (N, None) ragged tf.string: what `tokenize` looks up."""
        return self._words(self._normalize(strings))

    def word_ids(self, words):
        """(W,) tf.string, one word each -> (W,) int32; UNK_ID for those that are not in the vocabulary."""
        return self._ids.lookup(words)

    def _tokenize(self, strings):
        words = self._words(strings)
        return words.with_flat_values(self.word_ids(words.flat_values))

    def _words(self, strings):
        # No word contains a space, so spaces around the words divide them. What is left between
        # is white space other than " ", and not a word.
        marked = tf.strings.regex_replace(strings, self._pattern, r" \1 ")
        words = tf.strings.split(marked, " ")
        is_word = tf.strings.regex_full_match(words.flat_values, self._pattern)
        return tf.ragged.boolean_mask(words, words.with_flat_values(is_word))

    def _detokenize(self, ids):
        pieces = tf.gather(tf.constant(self._pieces), ids.flat_values)
        text = tf.strings.reduce_join(ids.with_flat_values(pieces), axis=-1, separator=" ")
        for pattern, replacement in self._spacing:
            text = tf.strings.regex_replace(text, pattern, replacement)
        return text


class SentencePieceInGraph(TokenizerInGraph):
    """The twin of `SentencePieceTokenizer`, by tensorflow_text on the same model file."""

    def __init__(self, model: bytes, segment_characters: int, normalization=()):
        import tensorflow_text

        tokenizer = tensorflow_text.SentencepieceTokenizer(model=model)
        super().__init__(int(tokenizer.vocab_size()), normalization)
        self._tokenizer = tokenizer
        self._segment_characters = segment_characters

    def _tokenize(self, strings):
        codes = tf.strings.unicode_decode(strings, "UTF-8", replacement_char=REPLACEMENT)
        values, rows = codes.flat_values, codes.value_rowids()
        # A line begins with a row and after every line feed; a segment, every so many characters.
        index = tf.range(tf.size(values, out_type=tf.int64))
        previous_ends = tf.concat([[True], (values[:-1] == ord("\n")) | (rows[1:] != rows[:-1])], 0)
        line_begins = previous_ends[: tf.size(values)]
        line = tf.cumsum(tf.cast(line_begins, tf.int64)) - 1
        column = index - tf.gather(tf.boolean_mask(index, line_begins), line)
        starts = tf.boolean_mask(index, column % self._segment_characters == 0)
        segments = tf.RaggedTensor.from_row_starts(values, starts)
        ids = self._tokenizer.tokenize(tf.strings.unicode_encode(segments, "UTF-8"))
        segments_per_row = tf.math.bincount(
            tf.cast(tf.gather(rows, starts), tf.int32),
            minlength=tf.size(strings),
            dtype=tf.int64,
        )
        return tf.RaggedTensor.from_row_lengths(ids, segments_per_row).merge_dims(1, 2)

    def _detokenize(self, ids):
        return self._tokenizer.detokenize(ids)
