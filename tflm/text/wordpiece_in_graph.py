"""The twin of `WordPieceTokenizer`: TensorFlow's own ops up to the words, tensorflow_text for the pieces of a word.

tensorflow_text has a BertTokenizer, too, but it goes by ICU's tables (which know later characters, fold case instead of
lowering it, and leave private and unassigned characters in words), splits unlike Hugging Face's, and counts the length
of a word in bytes. Here the tables are those of `bert_characters.py`.
"""

import tensorflow as tf

from tflm.text import bert_characters
from tflm.text.in_graph import TokenizerInGraph
from tflm.text.normalize_in_graph import REPLACEMENT, CharacterMap, character_class
from tflm.text.wordpiece import MAX_WORD_CHARACTERS, PREFIX, SPACING, SPECIAL_PIECES

_LONGEST_CHARACTER = 4  # bytes of UTF-8


class WordPieceInGraph(TokenizerInGraph):
    """
    Args:
        tokenizer: a WordPieceTokenizer.
    """

    def __init__(self, tokenizer):
        import tensorflow_text

        super().__init__(tokenizer.vocabulary_size, tokenizer.normalization)
        self.special_ids, self.unk_id = tokenizer.special_ids, tokenizer.unk_id
        self._pieces = [piece.encode() for piece in tokenizer.pieces]
        rules = tokenizer.rules
        dropped, spaces, apart = bert_characters.cleaned(rules.split_chinese)
        self._dropped = f"[{character_class(dropped)}]+"
        self._space = f"[{character_class(spaces)}]"
        self._apart = f"([{character_class(apart)}])" if apart else None
        self._punctuation = f"([{character_class(bert_characters.punctuation())}])"
        self._folding = []
        if rules.strip_accents:
            self._folding = [CharacterMap(bert_characters.decomposed()), _in_canonical_order]
        if rules.strip_accents or rules.lowercase:
            folded = bert_characters.folded(rules.lowercase, rules.strip_accents)
            if rules.strip_accents:  # what is decomposed before does not come here
                folded = {c: s for c, s in folded.items() if c not in bert_characters.decomposed()}
            self._folding.append(CharacterMap(folded))
        self._wordpiece = tensorflow_text.FastWordpieceTokenizer(
            _reachable(tokenizer),
            suffix_indicator=PREFIX,
            max_bytes_per_word=_LONGEST_CHARACTER * MAX_WORD_CHARACTERS,
            token_out_type=tf.int32,
            unknown_token=SPECIAL_PIECES["unk"],
            no_pretokenization=True,
        )

    def _tokenize(self, strings):
        words = self._words(strings)
        is_too_long = tf.strings.length(words.flat_values, unit="UTF8_CHAR") > MAX_WORD_CHARACTERS
        # No word is spelled so, since brackets are words by themselves.
        known = tf.where(is_too_long, SPECIAL_PIECES["unk"], words.flat_values)
        return self._wordpiece.tokenize(words.with_flat_values(known)).merge_dims(1, 2)

    def _words(self, strings):
        """(N,) tf.string -> (N, None) ragged tf.string."""
        text = tf.strings.regex_replace(strings, self._dropped, "")
        text = tf.strings.regex_replace(text, self._space, " ")
        if self._apart is not None:
            text = tf.strings.regex_replace(text, self._apart, r" \1 ")
        if self._folding:
            codes = tf.strings.unicode_decode(text, "UTF-8", replacement_char=REPLACEMENT)
            for fold in self._folding:
                codes = fold(codes)
            text = tf.strings.unicode_encode(codes, "UTF-8")
        return tf.strings.split(tf.strings.regex_replace(text, self._punctuation, r" \1 "))

    def _detokenize(self, ids):
        pieces = ids.with_flat_values(tf.gather(tf.constant(self._pieces), ids.flat_values))
        text = tf.strings.reduce_join(pieces, axis=-1, separator=" ")
        for pattern, replacement in SPACING:
            text = tf.strings.regex_replace(text, pattern, replacement)
        return text


def _reachable(tokenizer) -> list[str]:
    """The vocabulary, where what no word may give has a name that no word is spelled as."""
    pieces = [f"[none {i}]" for i in range(tokenizer.vocabulary_size)]
    special = {*tokenizer.special_ids}
    for i, piece in enumerate(tokenizer.pieces):
        if i not in special and tokenizer.token_id(piece) == i and piece not in ("", PREFIX):
            pieces[i] = piece
    pieces[tokenizer.unk_id] = SPECIAL_PIECES["unk"]
    return pieces


def _in_canonical_order(codes):
    """Marks on the same character, sorted as NFD sorts them (UAX #15): (N, None) ragged int32 in and out."""
    order = bert_characters.canonical_order()
    marks = tf.constant(sorted(order))
    ranks = tf.constant([order[mark] for mark in sorted(order)], tf.int64)
    values, rows = codes.flat_values, codes.value_rowids()
    place = tf.minimum(tf.searchsorted(marks, values), tf.size(marks) - 1)
    rank = tf.where(tf.gather(marks, place) == values, tf.gather(ranks, place), 0)
    begins_row = tf.concat([[True], rows[1:] != rows[:-1]], 0)[: tf.size(values)]
    character = tf.cumsum(tf.cast((rank == 0) | begins_row, tf.int64))
    by_rank = tf.argsort(character * (len(order) + 1) + rank, stable=True)
    return codes.with_flat_values(tf.gather(values, by_rank))
