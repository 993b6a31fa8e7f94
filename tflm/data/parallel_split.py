"""A split of pairs of texts as token ids: that of a token store for the targets, with the sources beside it."""

import dataclasses

import numpy as np

from tflm.data import length_buckets
from tflm.data.length_buckets import MEASURES, Bucket, lengths_between
from tflm.data.split_in_memory import split_in_memory
from tflm.data.store import TokenSplit, release_pages, spans


@dataclasses.dataclass(frozen=True)
class ParallelSplit(TokenSplit):
    """What TokenSplit has is that of the targets, `bos, ids..., eos`; pair i is source i and target i.

    Attributes:
        source_tokens: (num_source_tokens,) uint16 or uint32, read-only: `ids..., eos` of every source.
        source_starts: (num_pairs,) int64, where each source begins.
        orders: for each of length_buckets.MEASURES, (num_pairs,) int64: the pairs, bucket by bucket.
        buckets: for each of them the buckets.
        left_out: how many pairs the filters dropped, and why.
    """

    source_tokens: np.ndarray = None
    source_starts: np.ndarray = None
    orders: dict[str, np.ndarray] = None
    buckets: dict[str, tuple[Bucket, ...]] = None
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def num_pairs(self) -> int:
        return self.num_documents

    def source(self, i: int) -> np.ndarray:
        """The ids of source i and eos."""
        (start,), (length,) = self.source_spans(np.array([i]))
        return self.source_tokens[start : start + length]

    def target(self, i: int) -> np.ndarray:
        """bos, the ids of target i and eos."""
        (start,), (length,) = self.spans(np.array([i]))
        return self.tokens[start : start + length]

    def source_spans(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `spans` of the targets, for the sources."""
        return spans(self.source_starts, len(self.source_tokens), pairs)

    def release_pages(self):
        arrays = (self.tokens, self.document_starts, self.source_tokens, self.source_starts)
        for array in (*arrays, *self.orders.values()):
            release_pages(array)


def group(
    source_starts: np.ndarray, source_tokens: int, starts: np.ndarray, tokens: int, order: dict
) -> dict[str, tuple[Bucket, ...]]:
    """The buckets of a split by each measure.

    Args:
        source_starts, starts: where the sources and the targets begin, among so many tokens.
        order: measure -> (num_pairs,) integers to be filled.
    """

    def lengths(first: int, last: int):
        source = lengths_between(source_starts, source_tokens, first, last)
        target = lengths_between(starts, tokens, first, last)
        release_pages(source_starts)
        release_pages(starts)
        return source, target - 1  # eos is predicted, bos is not

    return {m: length_buckets.group(lengths, len(starts), m, array) for m, array in order.items()}


def parallel_in_memory(sources: list, targets: list, tokenizer, left_out=None) -> ParallelSplit:
    """The pairs of at least one batch, as the split "file".

    Args:
        sources, targets: EncodedBatch each; the sources without bos.
        tokenizer: of the targets.
        left_out: see ParallelSplit.
    """
    targets_alone = split_in_memory(targets, tokenizer)
    lengths = np.concatenate([batch.lengths for batch in sources])
    starts, tokens = np.cumsum(lengths) - lengths, np.concatenate([b.tokens for b in sources])
    orders = {measure: np.empty(len(lengths), np.int64) for measure in MEASURES}
    buckets = group(
        starts, len(tokens), targets_alone.document_starts, len(targets_alone.tokens), orders
    )
    return ParallelSplit(
        **vars(targets_alone),
        source_tokens=tokens,
        source_starts=starts,
        orders=orders,
        buckets=buckets,
        left_out=left_out or {},
    )
