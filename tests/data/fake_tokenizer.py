"""The smallest tokenizer that keeps the contract, for tests of what stands on it."""

import time


class ByteTokenizer:
    """Byte b is token b + 4. `unknown` bytes become unk; `seconds` slows every batch down."""

    kind, lossless = "fake", True
    pad_id, unk_id, bos_id, eos_id = 0, 1, 2, 3

    def __init__(self, vocabulary_size=260, unknown=b"", seconds=0.0, exit_on=None):
        self.vocabulary_size = vocabulary_size
        self._unknown = unknown
        self._seconds = seconds
        self._exit_on = exit_on

    def encode(self, text):
        if self._exit_on is not None and self._exit_on in text:
            raise SystemExit(1)  # What a worker looks like that the system has killed.
        return [1 if byte in self._unknown else byte + 4 for byte in text.encode("utf-8")]

    def encode_batch(self, texts):
        time.sleep(self._seconds)
        return [self.encode(text) for text in texts]

    def decode(self, ids):
        return bytes(int(i) - 4 for i in ids if i > 3).decode("utf-8")

    def piece(self, token_id):
        return ("<pad>", "<unk>", "<s>", "</s>")[token_id] if token_id < 4 else f"<{token_id - 4}>"

    def fingerprint(self):
        return f"{self.vocabulary_size} {self._unknown!r}"
