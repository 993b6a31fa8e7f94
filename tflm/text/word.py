"""Words, by one of three rules (`split`):

"words": runs of letters, marks, digits and `_` are words, any other character that is no white
    space is a word by itself, white space is dropped. "don't" is `don`, `'`, `t`.
"whitespace": for a corpus that is split already, such as WikiText. White space divides words; a
    line feed is the word "\\n", so that lines are kept. A literal `<unk>` in the text counts as
    the unknown token here, and only here: such corpora mean it.
"jieba": Chinese words by jieba (extra `zh`), white space dropped. It has no twin in the graph.

Words that are too rare are <unk>. Decoding joins words with single spaces and then removes those
that do not belong (before a comma, between Chinese words), so text does not come back exactly.
"""

import collections
import functools
import re
import warnings

import regex

from tflm.errors import UserError, unknown_name
from tflm.text.normalize import WHITESPACE_RANGES, WHITESPACE_RUN
from tflm.text.tokenizer import SPECIAL_PIECES, UNK_ID, check_keys
from tflm.text.vocabulary import FIRST_PIECE_ID, VocabularyTokenizer

SPLITS = ("words", "whitespace", "jieba")

# (pattern, replacement) in order, after joining with spaces. Python's `re` and RE2 read them alike:
# no look-around, and neither "\n" nor any other white space is inside a word of these splits.
PUNCTUATION_SPACING = (
    (r" (['\x{2019}]) (s|t|re|ve|ll|d|m)( |$)", r"\1\2\3"),
    (r" ([.,!?;:%)\]}\x{2026}\x{2019}\x{201d}\x{3001}\x{3002}\x{ff0c}\x{ff01}\x{ff1f}])", r"\1"),
    (r" ([\x{ff1b}\x{ff1a}\x{ff09}\x{300b}\x{300d}\x{300f}\x{3011}])", r"\1"),
    (r"([(\[{\x{2018}\x{201c}\x{ff08}\x{300a}\x{300c}\x{300e}\x{3010}]) ", r"\1"),
)
SPACING = {
    "words": PUNCTUATION_SPACING,
    "whitespace": ((r" ?\n ?", "\n"),),
    # From U+2E80 on, scripts are written without spaces.
    "jieba": (
        *PUNCTUATION_SPACING,
        (r"([\x{2e80}-\x{10ffff}]) ", r"\1"),
        (r" ([\x{2e80}-\x{10ffff}])", r"\1"),
    ),
}


def re2_to_python(pattern: str) -> str:
    """RE2 writes a code point as \\x{2019}, Python's `re` as \\U00002019."""
    return re.sub(r"\\x\{([0-9a-f]+)\}", lambda m: f"\\U{int(m.group(1), 16):08x}", pattern)


@functools.cache
def letter_ranges() -> list[list[int]]:
    """The code points of letters, marks, numbers and `_`, as the installed `regex` knows them.

    A tokenizer keeps the ranges, so that its ids depend neither on the Unicode version of the
    Python that runs it nor on RE2's (which are years apart: 22,000 letters).
    """
    is_letter = regex.compile(r"[\p{L}\p{M}\p{N}_]").match
    ranges = []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000 or not is_letter(chr(code)):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def words_pattern(letters) -> str:
    """The RE2 pattern of one word of split "words"; `re2_to_python` gives Python's."""
    letters, space = _class(letters), _class(WHITESPACE_RANGES)
    return f"[{letters}]+|[^{letters}{space}]"


def words_or_newline_pattern() -> str:
    """The same for split "whitespace"."""
    return f"\\n|[^{_class(WHITESPACE_RANGES)}]+"


def _class(ranges) -> str:
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges)


@functools.cache
def _jieba():
    """jieba's segmenter with its own dictionary, silent, and without its cache file in /tmp."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # jieba's own imports are deprecated ones
            import jieba
    except ImportError:
        raise UserError(
            "split='jieba' needs the package jieba, which is not installed; "
            "install it: pip install 'tflm[zh]'."
        ) from None
    segmenter = jieba.Tokenizer()
    segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())
    segmenter.initialized = True
    return segmenter


def jieba_words(text: str) -> list[str]:
    return [word for word in _jieba().cut(text) if not word.isspace()]


class WordTokenizer(VocabularyTokenizer):
    """A list of words; `letters` are the ranges that "words" takes for parts of a word."""

    kind = "word"

    def __init__(self, words: list[str], split: str, letters: list, normalization=()):
        super().__init__(words, normalization)
        self.split = split
        self.letters = letters
        self._words = _splitter(split, letters)
        self._spacing = [(re.compile(re2_to_python(p)), new) for p, new in SPACING[split]]

    @classmethod
    def counter(cls, config):
        return functools.partial(_count_words, _splitter(config.split, _letters(config.split)))

    @classmethod
    def of_pieces(cls, pieces, config):
        return cls(pieces, config.split, _letters(config.split), config.normalization)

    @classmethod
    def from_description(cls, values, folder):
        check_keys(values, {"normalization": list, "split": str, "letters": list, "pieces": list})
        if values["split"] not in SPLITS:
            raise unknown_name("word split", values["split"], SPLITS)
        if not all(isinstance(word, str) and word for word in values["pieces"]):
            raise UserError("'pieces' must be words.")
        for pair in values["letters"]:
            if not (isinstance(pair, list) and [type(code) for code in pair] == [int, int]):
                raise UserError(f"'letters' must be pairs of code points. Received: {pair!r:.80}.")
            if not 0 <= pair[0] <= pair[1] < 0x110000:
                raise UserError(f"'letters' must be ranges of code points. Received: {pair!r}.")
        if (values["split"] == "words") != bool(values["letters"]):
            raise UserError("'letters' belongs to split 'words', and only there.")
        return cls(values["pieces"], values["split"], values["letters"], values["normalization"])

    def describe(self) -> dict:
        return {"split": self.split, "letters": self.letters, "pieces": self.pieces}

    def _versions(self):
        versions = super()._versions()
        if self.split == "jieba":
            import importlib.metadata

            versions["jieba"] = importlib.metadata.version("jieba")
        return versions

    def _encode(self, texts):
        known = self.ids.get
        return [[known(word, UNK_ID) for word in self._words(text)] for text in texts]

    def _encode_with_offsets(self, text):
        offsets, end = [], 0
        for word in self._words(text):
            start = text.index(word, end)  # only white space is between words
            end = start + len(word)
            offsets.append((start, end))
        return self._encode([text])[0], offsets

    def _decode(self, ids):
        unknown = SPECIAL_PIECES[UNK_ID]
        text = " ".join(unknown if i == UNK_ID else self.pieces[i - FIRST_PIECE_ID] for i in ids)
        for pattern, replacement in self._spacing:
            text = pattern.sub(replacement, text)
        return text

    def in_graph(self):
        if self.split == "jieba":
            raise UserError(
                "jieba has no TensorFlow op, so split='jieba' cannot run inside a graph; "
                "feed token ids, or train with kind='sentencepiece' or 'character'."
            )
        from tflm.text.in_graph import WordInGraph

        pattern = (
            words_pattern(self.letters) if self.split == "words" else words_or_newline_pattern()
        )
        return WordInGraph(self.pieces, pattern, SPACING[self.split], self.normalization)


def _letters(split: str) -> list:
    if split not in SPLITS:
        raise unknown_name("word split", split, SPLITS)
    return letter_ranges() if split == "words" else []


def _count_words(words, texts: list[str]) -> collections.Counter:
    counts = collections.Counter()
    for text in texts:
        counts.update(words(text))
    return counts


def _splitter(split: str, letters):
    """Text -> list of words. What it returns can be pickled."""
    if split == "jieba":
        return jieba_words
    if split == "whitespace":
        return re.compile(re2_to_python(words_or_newline_pattern())).findall
    ascii_letters = [(first, min(last, 0x7F)) for first, last in letters if first <= 0x7F]
    patterns = (re.compile(re2_to_python(words_pattern(r))) for r in (ascii_letters, letters))
    return functools.partial(_words, *patterns)


def _words(ascii_pattern: re.Pattern, full_pattern: re.Pattern, text: str) -> list[str]:
    # The class of all letters takes ten times as long, so it sees only what needs it.
    if text.isascii():
        return ascii_pattern.findall(text)
    words = []
    for part in WHITESPACE_RUN.split(text):
        words += (ascii_pattern if part.isascii() else full_pattern).findall(part)
    return words
