"""How a batch of sources becomes targets: read by an encoder, or as the beginning of a text.

Both readers take rows of ids and answer with rows of ids, by beam search or by sampling. A batch has one of few shapes,
so that few programs are compiled; where a batch has fewer rows than its shape, the others are skipped.

Shapes: B batch, S source time.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from keras import ops

from tflm.backend import compiled
from tflm.generation.beam import BeamConfig, best, grow
from tflm.generation.decoding import Decoder
from tflm.generation.sampling import REMOVED, SamplingConfig


@dataclasses.dataclass(frozen=True)
class Found:
    """One target: its ids without EOS, and its score (see `beam_search`); None where it was drawn."""

    ids: list[int]
    score: float | None = None


class EncoderReader:
    """Sources that an encoder reads.

    Args:
        model: a SequenceToSequence, or an Ensemble of them.
        tokenizer: of the target; its special ids.
    """

    def __init__(self, model, tokenizer):
        self.model, self._tokenizer = model, tokenizer
        self._searches, self._decoders = {}, {}

    def longest_source(self, max_length: int) -> int | None:
        """Ids of a source at most, its EOS included; None for no limit."""
        return self.model.max_source_length

    def beams(self, rows: list[list[int]], width: int, count: int, config: BeamConfig, room: int):
        """The n-best of every row, best first: a list of Found, or None where there was not the room to find them.

        Args:
            rows: at most `count` sources of at most `width` ids.
            room: for tokens of a target, at most config.max_length: the cache's length, which is what a step costs.
        """
        limits = np.zeros(count, "int32")
        limits[: len(rows)] = config.max_length
        found = self._search(config, room)(self._padded(rows, width, count), limits)
        *hypotheses, complete = map(ops.convert_to_numpy, found)
        return [
            _hypotheses(*(values[place] for values in hypotheses)) if complete[place] else None
            for place in range(len(rows))
        ]

    def _search(self, config: BeamConfig, room: int):
        key = (config, room)
        if key not in self._searches:
            model, tokenizer = self.model, self._tokenizer

            def search(source_ids, limits):
                state = model.initial_state(source_ids, room)
                prompts = ops.full((ops.shape(source_ids)[0], 1), tokenizer.bos_id, "int32")
                options = {"limits": limits, "room": room, "blocked": never_written(tokenizer)}
                found = grow(model.step, state, prompts, config, tokenizer.eos_id, **options)
                return (*best(found, config), found["complete"])

            self._searches[key] = compiled(model, search)
        return self._searches[key]

    def draws(self, rows: list[list[int]], width: int, sampling: SamplingConfig, max_length: int):
        """One target of every row, drawn: a list of Found."""
        if max_length not in self._decoders:
            self._decoders[max_length] = Decoder(_Started(self.model, max_length), max_length)
        decoder = self._decoders[max_length]
        decoder.model.source_ids = self._padded(rows, width, len(rows))
        prompts = [[self._tokenizer.bos_id]] * len(rows)
        tokens = decoder.generate(prompts, max_length, sampling, (self._tokenizer.eos_id,))
        return _collected(tokens, len(rows))

    def _padded(self, rows, width: int, count: int):
        """(count, width) int32; a row that is not there is a source of nothing but its end."""
        ids = np.full((count, width), self._tokenizer.pad_id, "int32")
        ids[:, 0] = self._tokenizer.eos_id
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        return ids


class PromptReader:
    """Sources that stand before the target in one text.

    Args:
        model: a language model, or an Ensemble of them.
        tokenizer: its special ids.
    """

    def __init__(self, model, tokenizer):
        self.model, self._tokenizer = model, tokenizer
        self._searches, self._decoders = {}, {}

    def longest_source(self, max_length: int) -> int | None:
        """Ids of a prompt at most; a quarter of the context, or `max_length`, is left for the target."""
        limit = self.model.max_sequence_length
        return None if limit is None else max(1, limit - min(max_length, max(1, limit // 4)))

    def beams(self, rows: list[list[int]], width: int, count: int, config: BeamConfig, room: int):
        """As of EncoderReader; the rows begin with BOS, and there is always room for all of a target."""
        # A place that is to be skipped holds the shortest prompt, so that all go on from there.
        rows, number = rows + [min(rows, key=len)] * (count - len(rows)), len(rows)
        lengths = np.array([len(row) for row in rows], "int32")
        limits = np.zeros(count, "int32")
        limits[:number] = config.max_length
        if self.model.max_sequence_length is not None:
            limits = np.minimum(limits, self.model.max_sequence_length - lengths)
        prompts = np.zeros((count, width), "int32")
        for place, row in enumerate(rows):
            prompts[place, : len(row)] = row
        start = int(lengths.min()) - 1
        state, _ = self._decoder(width + config.max_length).read(rows, start)
        if config not in self._searches:
            self._searches[config] = compiled(self.model, self._search(config))
        found = self._searches[config](state, prompts, lengths, np.int32(start), limits)
        hypotheses = [ops.convert_to_numpy(values) for values in found]
        return [_hypotheses(*(values[place] for values in hypotheses)) for place in range(number)]

    def _search(self, config: BeamConfig):
        def search(state, prompts, lengths, position, limits):
            options = {"prompt_lengths": lengths, "position": position, "limits": limits}
            options["blocked"] = never_written(self._tokenizer)
            eos_id = self._tokenizer.eos_id
            return best(grow(self.model.step, state, prompts, config, eos_id, **options), config)

        return search

    def draws(self, rows: list[list[int]], width: int, sampling: SamplingConfig, max_length: int):
        """As of EncoderReader; the rows begin with BOS."""
        decoder = self._decoder(width + max_length)
        tokens = decoder.generate(rows, max_length, sampling, (self._tokenizer.eos_id,))
        return _collected(tokens, len(rows))

    def _decoder(self, length: int) -> Decoder:
        if length not in self._decoders:
            self._decoders[length] = Decoder(self.model, length)
        return self._decoders[length]


class _Started:
    """An encoder-decoder that has read `source_ids`, as the language model that a Decoder goes on with."""

    def __init__(self, model, max_length: int):
        self._model, self.step = model, model.step
        self.config, self.max_sequence_length = model.config, model.max_sequence_length
        self.source_ids = None
        self._start = compiled(
            model, lambda source_ids: model.initial_state(source_ids, max_length)
        )

    @property
    def variables(self):
        return self._model.variables

    def initial_state(self, batch_size: int, max_length: int):
        return self._start(self.source_ids)


def never_written(tokenizer) -> tuple[int, ...]:
    """The special ids that no target holds: all but unk and eos."""
    return tuple(i for i in tokenizer.special_ids if i not in (tokenizer.unk_id, tokenizer.eos_id))


def _hypotheses(ids, lengths, scores) -> list[Found]:
    """Those of one row that exist: a small vocabulary may give fewer than were wanted."""
    rows = zip(ids.tolist(), lengths.tolist(), scores.tolist(), strict=True)
    return [Found(row[:length], score) for row, length, score in rows if score > REMOVED / 2]


def _collected(steps: Iterator[list[int | None]], count: int) -> list[Found]:
    """The tokens that `Decoder.generate` yields step by step, row by row."""
    rows = [[] for _ in range(count)]
    for tokens in steps:
        for row, token in zip(rows, tokens, strict=True):
            if token is not None:
                row.append(token)
    return [Found(row) for row in rows]
