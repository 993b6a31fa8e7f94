"""Batches of pairs of texts for a decoder alone, which reads the source in a prompt and then writes the target.

    <s> before s0 s1 s2 behind t0 t1 t2 </s>      prompt_format="before{source}behind"

The loss counts the target and </s>. Buckets are by the length of all of it; else all is as in parallel_batches.py.

Shapes: B rows of the bucket, T tokens of a row.
"""

import numpy as np

from tflm.data import features
from tflm.data.parallel_batches import BucketedPairs, place, rows_of, weights
from tflm.data.parallel_split import ParallelSplit
from tflm.errors import UserError

SOURCE = "{source}"


class Prompt:
    """What stands around a source.

    Args:
        prompt_format: a text with "{source}" in it, once.
        tokenizer: by which it and both sides become ids, each on its own.

    Attributes:
        before, behind: (n,) int32, the ids of what comes before the source, bos first, and behind it.

    Raises:
        UserError: for another format.
    """

    def __init__(self, prompt_format: str, tokenizer):
        if prompt_format.count(SOURCE) != 1:
            raise UserError(
                f"`objective.prompt_format` must have {SOURCE} in it once. Received: {prompt_format!r}."
            )
        before, behind = map(tokenizer.encode, prompt_format.split(SOURCE))
        self.before = np.array([tokenizer.bos_id, *before], np.int32)
        self.behind = np.array(behind, np.int32)

    @property
    def num_tokens(self) -> int:
        return len(self.before) + len(self.behind)

    def ids(self, source_ids) -> np.ndarray:
        """The prompt of a source, (n,) int32; `source_ids` are those of its text, without eos."""
        return np.concatenate([self.before, np.asarray(source_ids, np.int32), self.behind])


class PromptedBatches:
    """
    Args:
        split: of pairs, both sides by the same tokenizer.
        prompt: what stands around a source.
        max_length: the most tokens that the model reads, or None.
        The others are those of ParallelBatches.

    Attributes:
        num_batches, steps_per_epoch: see BucketedPairs.
        tokens_per_step: that the model reads, on average, without padding.
        padding_share: of the cells, on average.
        shapes: (B, T) of each bucket.

    Raises:
        UserError: where a pair with its prompt is longer than `max_length`.
    """

    def __init__(
        self,
        split: ParallelSplit,
        prompt: Prompt,
        sequence_length: int,
        batch_size: int,
        seed: int | None,
        accumulation: int = 1,
        max_length: int | None = None,
    ):
        self._split, self._prompt = split, prompt
        buckets = split.buckets["sum"]
        # Lengths count the eos of both sides. The prompt has no eos, and the last one is predicted only.
        added = prompt.num_tokens - 2
        widths = [bucket.longest_sum + added for bucket in buckets]
        if max_length is not None and widths[-1] > max_length:
            raise UserError(
                f"A source in its prompt and its target have up to {widths[-1]} tokens, but the model reads "
                f"{max_length}. Raise model.max_sequence_length, or leave longer pairs out with "
                "objective.max_source_tokens and objective.max_target_tokens."
            )
        rows = [rows_of(width, sequence_length, batch_size, accumulation) for width in widths]
        self._pairs = BucketedPairs(split, "sum", rows, seed)
        self.num_batches = self._pairs.num_batches
        self.steps_per_epoch = self._pairs.steps_per_epoch
        tokens = sum(b.source_tokens + b.target_tokens + b.pairs * added for b in buckets)
        cells = sum(bucket.pairs * width for bucket, width in zip(buckets, widths, strict=True))
        self.tokens_per_step = round(tokens / self.steps_per_epoch)
        self.padding_share = 1 - tokens / cells
        self.shapes = list(zip(rows, widths, strict=True))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of `step`, from 0: token_ids, labels (B, T) int32, weights (B, T) float32."""
        bucket, pairs, count = self._pairs.at(step)
        rows, width = self.shapes[bucket]
        before, behind = self._prompt.before, self._prompt.behind
        ids = np.zeros((rows, width + 1), np.int32)
        ids[:, : len(before)] = before
        starts, lengths = self._split.source_spans(pairs)
        column = np.full(rows, len(before))
        place(ids, column, self._split.source_tokens, (starts, lengths - 1))
        column += lengths - 1
        ids[np.arange(rows)[:, None], column[:, None] + np.arange(len(behind))] = behind
        column += len(behind)
        starts, lengths = self._split.spans(pairs)
        place(ids, column, self._split.tokens, (starts + 1, lengths - 1))
        self._split.release_pages()
        return {
            features.TOKEN_IDS: np.ascontiguousarray(ids[:, :-1]),
            features.LABELS: np.ascontiguousarray(ids[:, 1:]),
            features.WEIGHTS: weights(width, column - 1, lengths - 1, count),
        }
