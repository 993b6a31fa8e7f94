"""Bytes of UTF-8: id = byte + 4. No training, no unknown token, 260 ids."""

import numpy as np

from tflm.errors import UserError
from tflm.text.tokenizer import SPECIAL_PIECES, UNK_ID, Tokenizer, check_keys

FIRST_BYTE_ID = len(SPECIAL_PIECES)


class ByteTokenizer(Tokenizer):
    """Every byte is a token; bytes that are not UTF-8 decode to U+FFFD."""

    kind = "byte"
    spells_everything = True
    vocabulary_size = FIRST_BYTE_ID + 256

    @classmethod
    def train(cls, config, texts, map_batches, say):
        """Needs no text and reads none."""
        return cls(config.normalization)

    @classmethod
    def from_description(cls, values, folder):
        check_keys(values, {"normalization": list})
        return cls(values["normalization"])

    def describe(self) -> dict:
        return {}

    def _encode(self, texts):
        shift = np.uint16(FIRST_BYTE_ID)
        return [
            np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.uint16) + shift
            for text in texts
        ]

    def _encode_with_offsets(self, text):
        data = np.frombuffer(text.encode("utf-8"), np.uint8)
        begins = (data & 0xC0) != 0x80  # all others continue a character
        ends = np.cumsum(begins)
        return self._encode([text])[0], np.stack([ends - 1, ends], axis=1)

    def _decode(self, ids):
        # 0xFF is never part of UTF-8, so <unk> becomes U+FFFD like every other stray byte.
        data = bytes(0xFF if i == UNK_ID else i - FIRST_BYTE_ID for i in ids)
        return data.decode("utf-8", "replace")

    def piece(self, token_id):
        if not 0 <= token_id < self.vocabulary_size:
            raise UserError(f"Token ids are 0 to {self.vocabulary_size - 1}. Received: {token_id}.")
        if token_id < FIRST_BYTE_ID:
            return SPECIAL_PIECES[token_id]
        byte = token_id - FIRST_BYTE_ID
        return chr(byte) if 0x20 < byte < 0x7F else f"<0x{byte:02X}>"

    def token_id(self, piece):
        if piece in SPECIAL_PIECES:
            return SPECIAL_PIECES.index(piece)
        if len(piece) == 1 and piece.isascii():
            return FIRST_BYTE_ID + ord(piece)
        names = (self.piece(i) for i in range(self.vocabulary_size))
        return next((i for i, name in enumerate(names) if name == piece), None)

    def in_graph(self):
        from tflm.text.in_graph import ByteInGraph

        return ByteInGraph(self.normalization)
