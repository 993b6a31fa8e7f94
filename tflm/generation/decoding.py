"""Continuing prompts, for every family alike.

The rows of a batch stand in lockstep: all are at the same position. A row whose prompt is longer than the shortest
one is fed its own prompt until that ends and draws tokens from there, so prompts of different lengths need no
padding, and what a row may draw does not depend on its neighbours as long as the text fits the context.

Shapes: B batch, T time, V vocabulary.
"""

from collections.abc import Iterator

import numpy as np
from keras import ops

from tflm.backend import compiled
from tflm.errors import UserError
from tflm.generation.sampling import SamplingConfig, next_token

# A chunk of the prompt is processed at once; its lengths are few, so that few programs are compiled.
PREFILL_CHUNKS = (256, 64, 16, 4, 1)


class Decoder:
    """Compiled decoding with one model; keep it to avoid compiling again.

    Args:
        model: any language model of `tflm.models`.
        max_length: the most tokens of prompt and continuation that are kept in the state. A model with a limited
            context that reaches it goes on from the newer half of the text.
    """

    def __init__(self, model, max_length: int):
        limit = model.max_sequence_length
        self.is_bounded = limit is not None
        if self.is_bounded:
            max_length = min(max_length, limit)
        self.model = model
        self.max_length = max_length
        self.vocabulary_size = model.config.vocabulary_size
        self._prefill = compiled(model, lambda ids, state, at: model.step(ids, state, at)[1])
        self._step = compiled(model, self._step_and_draw)

    def _step_and_draw(self, ids, state, at, seen, drawn_at, forced, settings):
        logits, state = self.model.step(ids, state, at)
        drawn = next_token(logits[:, -1], seen, drawn_at, **settings)
        token = ops.where(forced >= 0, forced, drawn)
        columns = ops.arange(self.vocabulary_size, dtype="int32")[None, :]
        return token, state, ops.logical_or(seen, columns == token[:, None])

    def generate(
        self,
        prompts: list[list[int]],
        max_tokens: int,
        sampling: SamplingConfig,
        stop_ids: tuple[int, ...] = (),
    ) -> Iterator[list[int | None]]:
        """Yields after every position the new token of each row.

        Args:
            prompts: at least one token each (begin with BOS).
            max_tokens: of the continuation, for each row.
            stop_ids: a row ends before it would emit one of these.

        Yields:
            A list of B: the token, or None for a row that is still in its prompt or has ended.
        """
        if not prompts or min(map(len, prompts)) < 1:
            raise UserError("A prompt must have at least one token: begin it with BOS.")
        texts = [list(prompt) for prompt in prompts]
        batch = len(texts)
        lengths = np.array([len(text) for text in texts])
        position = int(lengths.min()) - 1  # of the last token that is certain in every row
        ended = np.zeros(batch, bool)
        seen = np.zeros((batch, self.vocabulary_size), bool)
        for row, text in enumerate(texts):
            seen[row, text] = True
        settings = {
            "temperature": np.float32(sampling.temperature),
            "top_k": np.int32(sampling.top_k),
            "top_p": np.float32(sampling.top_p),
            "min_p": np.float32(sampling.min_p),
            "repetition_penalty": np.float32(sampling.repetition_penalty),
            "seed": np.int32(sampling.seed),
        }
        state, slot = self.read(texts, position)
        while not ended.all():
            if self.is_bounded and slot >= self.max_length:
                state, slot = self.read(texts, position)
            ids = np.array([[text[position]] for text in texts], "int32")
            forced = np.array(
                [text[position + 1] if position + 1 < len(text) else -1 for text in texts], "int32"
            )
            token, state, seen = self._step(
                ids, state, np.int32(slot), seen, np.int32(position + 1), forced, settings
            )
            token = ops.convert_to_numpy(token)
            position, slot = position + 1, slot + 1
            emitted: list[int | None] = [None] * batch
            for row, text in enumerate(texts):
                if position < lengths[row]:
                    continue
                # A row that has ended grows on unseen: all rows are read again when the context is full.
                text.append(int(token[row]))
                if ended[row]:
                    continue
                if int(token[row]) in stop_ids:
                    ended[row] = True
                    continue
                emitted[row] = int(token[row])
                ended[row] = len(text) - lengths[row] >= max_tokens
            yield emitted

    def read(self, texts, end: int):
        """The state after the tokens before position `end`, and the slot of `end` in it.

        Where they do not all fit, the newer half of what fits is read, so that there is room to go on.
        """
        start = 0
        if self.is_bounded and end >= self.max_length:
            start = end - self.max_length // 2
        state = self.model.initial_state(len(texts), self.max_length)
        slot = 0
        while slot < end - start:
            chunk = next(n for n in PREFILL_CHUNKS if n <= end - start - slot)
            ids = np.array([text[start + slot : start + slot + chunk] for text in texts], "int32")
            state = self._prefill(ids, state, np.int32(slot))
            slot += chunk
        return state, slot
