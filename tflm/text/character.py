"""Unicode characters (code points), most frequent first; what the training text lacked is <unk>."""

import collections

import numpy as np

from tflm.errors import UserError
from tflm.text.tokenizer import UNK_ID, check_keys
from tflm.text.vocabulary import FIRST_PIECE_ID, VocabularyTokenizer


class CharacterTokenizer(VocabularyTokenizer):
    """`decode(encode(s)) == s` where every character of s is known; <unk> decodes to U+FFFD."""

    kind = "character"

    def __init__(self, characters: list[str], normalization=()):
        super().__init__(characters, normalization)
        codes = [ord(char) for char in characters]
        # One entry past the largest known code point stands for everything above it.
        self._ids = np.full(max(codes, default=0) + 2, UNK_ID, np.int32)
        self._ids[codes] = np.arange(FIRST_PIECE_ID, FIRST_PIECE_ID + len(codes))

    @classmethod
    def counter(cls, config):
        return _count_characters

    @classmethod
    def of_pieces(cls, pieces, config):
        return cls(pieces, config.normalization)

    @classmethod
    def from_description(cls, values, folder):
        check_keys(values, {"normalization": list, "pieces": list})
        for char in values["pieces"]:
            if not (isinstance(char, str) and len(char) == 1):
                raise UserError(f"'pieces' must be single characters. Received: {char!r:.80}.")
        return cls(values["pieces"], values["normalization"])

    def describe(self) -> dict:
        return {"pieces": self.pieces}

    def _encode(self, texts):
        unknown = np.uint32(len(self._ids) - 1)
        codes = (np.frombuffer(text.encode("utf-32-le"), "<u4") for text in texts)
        return [self._ids[np.minimum(code, unknown)] for code in codes]

    def _encode_with_offsets(self, text):
        starts = np.arange(len(text))
        return self._encode([text])[0], np.stack([starts, starts + 1], axis=1)

    def _decode(self, ids):
        return "".join("\ufffd" if i == UNK_ID else self.pieces[i - FIRST_PIECE_ID] for i in ids)

    def in_graph(self):
        from tflm.text.in_graph import CharacterInGraph

        return CharacterInGraph(self.pieces, self.normalization)


def _count_characters(texts: list[str]) -> collections.Counter:
    counts = collections.Counter()
    for text in texts:
        counts.update(text)
    return counts
