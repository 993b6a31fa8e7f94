"""A model that reads a source and writes a target, in the fewest lines: recurrent, with weights drawn at random."""

import types

import numpy as np
from keras import ops


class TinySources:
    """What decoding needs of an encoder-decoder; the hidden state is a token's, the last one's and the source's."""

    max_source_length = 40

    def __init__(
        self, vocabulary_size: int, seed: int = 0, max_sequence_length: int = 24, ends: float = 0.0
    ):
        random = np.random.default_rng(seed)
        width = 16
        self.config = types.SimpleNamespace(vocabulary_size=vocabulary_size)
        self.max_sequence_length, self.variables = max_sequence_length, []
        self.bias = np.zeros(vocabulary_size, "float32")
        self.bias[3] = ends  # of EOS
        self.table, self.source_table, self.recurrent, self.output = (
            random.normal(0, scale, shape).astype("float32")
            for scale, shape in (
                (0.8, (vocabulary_size, width)),
                (0.8, (vocabulary_size, width)),
                (0.3, (width, width)),
                (0.8, (width, vocabulary_size)),
            )
        )

    def initial_state(self, source_ids, max_length):
        source_ids = ops.convert_to_tensor(source_ids)
        there = ops.cast(source_ids != 0, "float32")[..., None]
        summary = ops.sum(ops.take(self.source_table, source_ids, axis=0) * there, axis=1)
        return {"source_summary": summary, "hidden": ops.zeros_like(summary)}

    def step(self, token_ids, state, position):
        x = ops.take(self.table, token_ids[:, 0], axis=0) + state["source_summary"]
        hidden = ops.tanh(x + ops.matmul(state["hidden"], self.recurrent))
        logits = (ops.matmul(hidden, self.output) + self.bias)[:, None]
        return logits, {**state, "hidden": hidden}

    def log_probs_of(self, source: list[int]):
        """What `beam_of` asks for, in numpy."""
        from tests.generation.beam_reference import log_softmax

        summary = self.source_table[source].sum(0)

        def log_probs(texts):
            hidden = np.zeros((len(texts), 16))
            for token in np.array(texts).T:
                hidden = np.tanh(self.table[token] + summary + hidden @ self.recurrent)
            return log_softmax(hidden @ self.output + self.bias)

        return log_probs


class Letters:
    """The tokenizer of eight letters."""

    special_ids = pad_id, unk_id, bos_id, eos_id = 0, 1, 2, 3
    vocabulary_size = 12

    def encode(self, text: str) -> list[int]:
        return [4 + "abcdefgh".index(letter) for letter in text]

    def encode_batch(self, texts) -> list:
        return [self.encode(text) for text in texts]

    def decode(self, ids) -> str:
        return "".join("?abcdefgh"[max(token - 3, 0)] for token in ids if token not in (0, 2, 3))
