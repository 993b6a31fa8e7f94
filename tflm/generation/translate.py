"""From texts to texts by a model that writes a target for a source: translations, summaries, continuations.

Sources are decoded in batches of like length, the longest first, and come back in the order they came in. A batch has
one of few widths and heights, so that few programs are compiled whatever the texts are; what stands beside a source in
its batch changes nothing about its target.
"""

import dataclasses

from tflm.errors import UserError
from tflm.generation.beam import BeamConfig
from tflm.generation.readers import EncoderReader, PromptReader
from tflm.generation.sampling import SamplingConfig

SOURCE = "{source}"  # where a prompt format holds the source
SMALLEST_WIDTH = 16  # of a batch; each further width is twice the one before
BATCH_TOKENS, BATCH_ROWS = 2048, 64  # of the sources of a batch at most, padding included
FEW_ROWS = (1, 8)  # the heights of a batch that is the only one


@dataclasses.dataclass(frozen=True)
class DrawConfig:
    """Targets by sampling.

    Attributes:
        max_length: tokens of a target at most.
    """

    sampling: SamplingConfig
    max_length: int = 128


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A target, and its score by the beam: log-probability over the length penalty; None where it was drawn."""

    text: str
    score: float | None


class Translator:
    """Keep one to avoid compiling again; it reads the weights that the model has when it is asked.

    Args:
        model: an encoder-decoder or, with a prompt_format, any language model; or an Ensemble.
        tokenizer: of the target.
        source_tokenizer: None where one tokenizer has both sides.
        prompt_format: how a language model reads a source: a text with {source} in it. Just "{source}" continues it.
        truncate: cut sources that are longer than the model's limit, and count them in `num_truncated`.
    """

    def __init__(
        self, model, tokenizer, source_tokenizer=None, prompt_format=None, truncate: bool = False
    ):
        self._tokenizer = tokenizer
        self._source_tokenizer = source_tokenizer or tokenizer
        self._continues = prompt_format == SOURCE
        self._truncate, self.num_truncated = truncate, 0
        if prompt_format is None:
            self._reader = EncoderReader(model, tokenizer)
            self._before, self._behind = [], [self._source_tokenizer.eos_id]
        else:
            if prompt_format.count(SOURCE) != 1:
                raise UserError(
                    f"`prompt_format` must hold {SOURCE} once. Received: {prompt_format!r}."
                )
            before, behind = prompt_format.split(SOURCE)
            self._reader = PromptReader(model, tokenizer)
            self._before = [tokenizer.bos_id, *tokenizer.encode(before)]
            self._behind = tokenizer.encode(behind)
        self._longest_target = model.max_sequence_length

    def translate(self, texts: list[str], search=None, **options) -> list[str]:
        """The best target of every text, in order; arguments as of `candidates`."""
        return [found[0].text for found in self.candidates(texts, search, **options)]

    def candidates(
        self, texts: list[str], search=None, first_line: int = 1, progress=None
    ) -> list[list[Candidate]]:
        """The targets of every text, best first, in the order of the texts; at least one each.

        Args:
            search: BeamConfig or DrawConfig; None for a beam of 4. Greedy is a beam of 1.
            first_line: the number of the first text, for messages, and for what a draw depends on.
            progress: called as progress("translate", done, total) in texts.

        Raises:
            UserError: for a source that is too long, with its line.
        """
        search = search or BeamConfig()
        rows, num_truncated = self.encode(texts, search, first_line)
        self.num_truncated += num_truncated
        return self.candidates_of_ids(rows, search, first_line, progress)

    def candidates_of_ids(
        self, rows: list[list[int]], search=None, first_line: int = 1, progress=None
    ) -> list[list[Candidate]]:
        """The same for sources as `encode` gives them."""
        search = self._within_limits(search or BeamConfig())
        # A text of nothing has nothing to be translated.
        answers = [None if row else [Candidate("", 0.0)] for row in rows]
        # Most targets need little room, and a step costs what there is; the few that need more begin again.
        for is_short in (True, False):
            order = [i for i, answer in enumerate(answers) if answer is None]
            order.sort(key=lambda i: -len(rows[i]))
            number = len(order)
            while order:
                width = self._width(len(rows[order[0]]), search.max_length)
                count = _height(width, number)
                batch, order = order[:count], order[count:]
                sources = [rows[i] for i in batch]
                room = min(search.max_length, 2 * width) if is_short else search.max_length
                found = self._found(sources, width, count, search, room, first_line + batch[0])
                for i, targets in zip(batch, found, strict=True):
                    if targets is not None:
                        answers[i] = self._candidates(rows[i], targets)
                if progress is not None:
                    done = sum(answer is not None for answer in answers)
                    progress("translate", done, len(answers))
        return answers

    def _found(self, sources, width: int, count: int, search, room: int, line: int):
        if isinstance(search, BeamConfig):
            return self._reader.beams(sources, width, count, search, room)
        # Other random numbers for every batch.
        sampling = dataclasses.replace(search.sampling, seed=(search.sampling.seed + line) % 2**31)
        drawn = self._reader.draws(sources, width, sampling, search.max_length)
        return [[found] for found in drawn]

    def encode(self, texts: list[str], search, first_line: int = 1) -> tuple[list[list[int]], int]:
        """What the model reads of every text, no ids of a text that holds nothing; and how many were cut.

        Raises:
            UserError: for a source that is too long, where they are not cut.
        """
        # A language model needs room for the target.
        limit = self._reader.longest_source(self._within_limits(search).max_length)
        added = len(self._before) + len(self._behind)
        rows, num_truncated = [], 0
        for number, ids in enumerate(self._source_tokenizer.encode_batch(texts), first_line):
            ids = [int(token) for token in ids]
            if limit is not None and len(ids) + added > limit:
                if not self._truncate:
                    raise UserError(
                        f"Line {number} has {len(ids)} tokens; the model reads at most {max(0, limit - added)} of a "
                        "source. Shorten it, or cut such lines with --truncate."
                    )
                num_truncated += 1
                ids = ids[: max(0, limit - added)]
            rows.append([*self._before, *ids, *self._behind] if ids else [])
        return rows, num_truncated

    def _within_limits(self, search):
        """`search` for targets of at most what the model can write."""
        if self._longest_target is None or search.max_length <= self._longest_target:
            return search
        return dataclasses.replace(search, max_length=self._longest_target)

    def _width(self, length: int, max_length: int) -> int:
        width = SMALLEST_WIDTH
        while width < length:
            width *= 2
        return min(width, self._reader.longest_source(max_length) or width)

    def _candidates(self, source: list[int], found) -> list[Candidate]:
        """At least one: a beam whose every token was forbidden finds nothing."""
        return [Candidate(self._text(source, one.ids), one.score) for one in found] or [
            Candidate("", 0.0)
        ]

    def _text(self, source: list[int], ids: list[int]) -> str:
        if not self._continues:
            return self._tokenizer.decode(ids)
        # A word's space may depend on the word before it.
        before, whole = self._tokenizer.decode(source), self._tokenizer.decode(source + ids)
        return whole[len(before) :] if whole.startswith(before) else self._tokenizer.decode(ids)


def _height(width: int, number: int) -> int:
    """The rows of a batch out of `number` sources."""
    full = max(1, min(BATCH_ROWS, BATCH_TOKENS // width))
    return next((rows for rows in FEW_ROWS if number <= rows <= full), full)
