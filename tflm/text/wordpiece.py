"""The tokenizer of BERT: words cut into the longest pieces of a vocabulary, from left to right (WordPiece).

Devlin et al. 2019, section 3; Wu et al. 2016, "Google's Neural Machine Translation System", section 4.1. A text is
cleaned of control characters, Chinese characters are words each, words end at white space, and a punctuation mark is a
word. Uncased, everything is in lower case and without accents. A piece that does not begin a word is written ##piece;
a word that no pieces spell, or of more than MAX_WORD_CHARACTERS, is [UNK] as a whole.

All of this is done by Hugging Face's `tokenizers`, so that ids are those of its BertTokenizer, with one difference:
text never gives a special id but [UNK]. A literal "[SEP]" is the words `[`, `SEP` and `]`, where Hugging Face would
take it for the end of a sentence. (Its older tokenizer in Python differs from both in rare characters: it composes
accents in cased text (NFC), and drops what the running Python's Unicode does not know.)

A vocabulary that is learnt here begins with [PAD] [UNK] [CLS] [SEP] [MASK] as 0 to 4; a published one has its own
places.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import pathlib
import re
from collections import Counter

from tflm.errors import UserError
from tflm.text import bert_files
from tflm.text.tokenizer import Tokenizer, check_keys, printable, read_file, write_file
from tflm.text.vocabulary import count_pieces
from tflm.text.word import PUNCTUATION_SPACING, re2_to_python

PREFIX = "##"
MAX_WORD_CHARACTERS = 100
# What each special piece is for; the order of a vocabulary that is learnt here. Only `mask` may be missing.
SPECIAL_PIECES = {
    "pad": "[PAD]",
    "unk": "[UNK]",
    "bos": "[CLS]",
    "eos": "[SEP]",
    "mask": "[MASK]",
}
# Chinese and Japanese characters and their punctuation, which have no spaces around them; as in word.SPACING.
_WIDE = r"[\x{2e80}-\x{2fdf}\x{3000}-\x{30ff}\x{3400}-\x{9fff}\x{f900}-\x{faff}\x{ff01}-\x{ff60}\x{20000}-\x{3ffff}]"
SPACING = (
    (f" {PREFIX}", ""),
    *PUNCTUATION_SPACING,
    (f"({_WIDE}) ", r"\1"),
    (f" ({_WIDE})", r"\1"),
)


@dataclasses.dataclass(frozen=True)
class WordRules:
    """How a text is made ready for being cut into words.

    Attributes:
        lowercase: every character's own lower case.
        strip_accents: decomposed (NFD), and then without nonspacing marks.
        split_chinese: Chinese characters are words each.
    """

    lowercase: bool = False
    strip_accents: bool = False
    split_chinese: bool = True

    def normalizer(self):
        """The `tokenizers.normalizers.Normalizer`."""
        from tokenizers.normalizers import BertNormalizer

        return BertNormalizer(
            clean_text=True,
            handle_chinese_chars=self.split_chinese,
            strip_accents=self.strip_accents,
            lowercase=self.lowercase,
        )


class WordPieceTokenizer(Tokenizer):
    """A list of pieces, the special ones among them.

    Args:
        pieces: in the order of their ids. Of equal ones the last counts.
        special_pieces: what is special, as SPECIAL_PIECES.
        rules: WordRules.
        normalization: what is done to a text before that.

    Raises:
        UserError: where a special piece is not in the vocabulary.
    """

    kind = "wordpiece"
    spells_everything = False

    def __init__(self, pieces: list[str], special_pieces: dict, rules: WordRules, normalization=()):
        super().__init__(normalization)
        self.pieces = pieces
        self.special_pieces = special_pieces
        self.rules = rules
        self._ids = {piece: i for i, piece in enumerate(pieces)}
        for use in SPECIAL_PIECES:
            token_id = self._special_id(use)
            setattr(self, f"{use}_id", token_id)
        if len({*self.special_ids}) != len(self.special_ids):
            raise UserError(
                f"'special_pieces' must be different from each other. Received: {special_pieces!r}."
            )
        self._ids_by_name = {
            printable(piece): i for piece, i in self._ids.items() if printable(piece) != piece
        }
        self._spacing = [(re.compile(re2_to_python(p)), new) for p, new in SPACING]
        self._tokenizer = self._build()

    def _special_id(self, use: str) -> int | None:
        piece = self.special_pieces.get(use)
        if piece is None and use == "mask":
            return None
        if piece not in self._ids:
            raise UserError(
                f"The vocabulary must hold the special piece for {use}_id, {piece}. "
                f"Received: {len(self.pieces):,} pieces without it."
            )
        return self._ids[piece]

    def _build(self):
        """The `tokenizers.Tokenizer`. It knows no special piece but [UNK], so that no text gives one."""
        import tokenizers
        from tokenizers.pre_tokenizers import BertPreTokenizer

        unknown = SPECIAL_PIECES["unk"]
        ids = {piece: i for piece, i in self._ids.items() if i not in self.special_ids}
        ids[unknown] = self.unk_id
        model = tokenizers.models.WordPiece(
            ids, unk_token=unknown, max_input_chars_per_word=MAX_WORD_CHARACTERS
        )
        tokenizer = tokenizers.Tokenizer(model)
        tokenizer.normalizer = self.rules.normalizer()
        tokenizer.pre_tokenizer = BertPreTokenizer()
        return tokenizer

    @classmethod
    def train(cls, config, texts, map_batches, say):
        from tflm.text.wordpiece_training import check_size, learn_pieces

        check_size(config)
        rules = WordRules(lowercase=config.uncased, strip_accents=config.uncased)
        counter = functools.partial(_count_words, rules)
        counts = count_pieces(counter, "word", config, texts, map_batches, say)
        pieces = learn_pieces(counts, config)
        return cls(pieces, SPECIAL_PIECES, rules, config.normalization)

    @classmethod
    def from_description(cls, values, folder):
        flags = {field.name: bool for field in dataclasses.fields(WordRules)}
        types = {"normalization": list, "special_pieces": dict, "vocabulary_sha256": str, **flags}
        check_keys(values, types)
        special_pieces = values["special_pieces"]
        if not all(isinstance(special_pieces.get(use, ""), str) for use in SPECIAL_PIECES):
            raise UserError(f"'special_pieces' must hold pieces. Received: {special_pieces!r:.80}.")
        path = pathlib.Path(folder) / bert_files.VOCABULARY
        data = read_file(path)
        if hashlib.sha256(data).hexdigest() != values["vocabulary_sha256"]:
            raise UserError(
                f"{path} is not the file that was saved (its SHA-256 differs); "
                "restore it or train again."
            )
        rules = WordRules(**{name: values[name] for name in flags})
        pieces = bert_files.pieces_of(data, path)
        return cls(pieces, special_pieces, rules, values["normalization"])

    def describe(self) -> dict:
        data = bert_files.vocabulary(self.pieces)
        return {
            **dataclasses.asdict(self.rules),
            "special_pieces": self.special_pieces,
            "vocabulary_sha256": hashlib.sha256(data).hexdigest(),
        }

    def _versions(self):
        # Its tables of characters are those of the Unicode versions that it was built with.
        return {**super()._versions(), "tokenizers": importlib.metadata.version("tokenizers")}

    def save(self, folder):
        """Writes `vocab.txt`, then `tokenizer.json` with its checksum."""
        path = pathlib.Path(folder) / bert_files.VOCABULARY
        write_file(path, bert_files.vocabulary(self.pieces))
        super().save(folder)

    def __getstate__(self):
        names = ("pieces", "special_pieces", "rules", "normalization")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state):
        self.__init__(**state)

    @property
    def vocabulary_size(self) -> int:
        return len(self.pieces)

    def _encode(self, texts):
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _encode_with_offsets(self, text):
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def _decode(self, ids):
        text = " ".join(self.pieces[i] for i in ids)
        for pattern, replacement in self._spacing:
            text = pattern.sub(replacement, text)
        return text

    def piece(self, token_id):
        if not 0 <= token_id < self.vocabulary_size:
            raise UserError(f"Token ids are 0 to {self.vocabulary_size - 1}. Received: {token_id}.")
        return printable(self.pieces[token_id])

    def token_id(self, piece):
        return self._ids.get(piece, self._ids_by_name.get(piece))

    def in_graph(self):
        from tflm.text.wordpiece_in_graph import WordPieceInGraph

        return WordPieceInGraph(self)


def _count_words(rules: WordRules, texts: list[str]) -> Counter:
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalizer, splitter = rules.normalizer(), BertPreTokenizer()
    counts = Counter()
    for text in texts:
        words = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        counts.update(word for word, _ in words)
    return counts
