"""Pairs of texts as token ids on disk, memory-mapped: the token store's sister, built and kept as it is.

    train.bin                   uint16 or uint32, `bos, ids..., eos` of every target
    train.document_starts.bin   int64, where each target's bos stands
    train.source.bin            uint16 or uint32, `ids..., eos` of every source
    train.source_starts.bin     int64, where each source begins
    train.by_longest.bin        int64, the pairs in buckets by their longer side (length_buckets.py)
    train.by_sum.bin            int64, the pairs in buckets by both sides together

A set is used as it was published: no pair is left out because it comes twice, or because its source is also in another
split; the latter are counted. What the filters leave out is counted, too. Synthetic pairs, such as back-translation
makes, are appended to the training split, but for those of which a side is also in a held-out split.
"""

import dataclasses
import functools

import numpy as np

from tflm.data import corpora
from tflm.data.corpora import DataConfig
from tflm.data.encoded_pairs import (
    REASONS,
    EncodedPairsText,
    PairEncoder,
    PairLimits,
    count_reasons,
    note_left_out,
)
from tflm.data.length_buckets import MEASURES, Bucket, padding_share
from tflm.data.parallel_corpora import FORMS, resolve, units_at
from tflm.data.parallel_filling import SOURCE_FILES, fill_pairs, order_file
from tflm.data.parallel_split import ParallelSplit, parallel_in_memory
from tflm.data.store import Store, StoreText, mapped, store_of
from tflm.errors import UserError


class ParallelStore(Store):
    """A store of pairs of texts.

    Attributes:
        card: as that of Store, of the targets; with "limits", "synthetic", and for each split "source", what was
            counted about the sources, "left_out", pairs by reason, "shared_with_train" and "buckets".
    """

    room = "parallel_stores"

    @staticmethod
    def files(card: dict, name: str) -> dict[str, int]:
        counts = card["splits"][name]
        tokens, starts = SOURCE_FILES
        width = np.dtype(card["source_dtype"]).itemsize
        numbers = [starts, *map(order_file, MEASURES)]
        return {
            **Store.files(card, name),
            tokens: counts["source"]["tokens"] * width,
            **dict.fromkeys(numbers, counts["documents"] * 8),
        }

    def split(self, name: str) -> ParallelSplit:
        targets = super().split(name)
        counts = self.card["splits"][name]
        tokens, starts = (self.folder / f"{name}.{file}" for file in SOURCE_FILES)
        orders = {measure: self.folder / f"{name}.{order_file(measure)}" for measure in MEASURES}
        return ParallelSplit(
            **vars(targets),
            source_tokens=mapped(tokens, self.card["source_dtype"]),
            source_starts=mapped(starts, "int64"),
            orders={measure: mapped(path, "int64") for measure, path in orders.items()},
            buckets={measure: _buckets(counts, measure) for measure in MEASURES},
            left_out=counts["left_out"],
        )


def build_parallel_store(
    config: DataConfig,
    tokenizer,
    source_tokenizer=None,
    limits: PairLimits | None = None,
    cache_folder=None,
    progress=None,
) -> ParallelStore:
    """The ParallelStore for these texts.

    Args:
        tokenizer: of the targets.
        source_tokenizer: of the sources; None for the same.
        limits: which pairs to leave out.
        The others are those of `build_store`, and so are the errors.
    """
    limits, source = limits or PairLimits(), source_tokenizer or tokenizer
    cache = corpora.cache_folder(cache_folder)
    settings = {
        "limits": dataclasses.asdict(limits),
        "source_tokenizer": [source.kind, source.vocabulary_size, source.fingerprint()],
    }
    text = StoreText(config, tokenizer, cache, progress, resolve, settings)
    fill = functools.partial(fill_pairs, source_tokenizer=source, limits=limits)
    return store_of(text, cache, progress, ParallelStore, fill)


def parallel_split(
    path,
    tokenizer,
    source_tokenizer=None,
    config: DataConfig | None = None,
    limits: PairLimits | None = None,
    progress=None,
) -> ParallelSplit:
    """A corpus as a split, in memory.

    Args:
        path: as `DataConfig.corpus` names one: a table, or two files with a comma.
        tokenizer, source_tokenizer: of the trained model; None for the same.
        config: how to read the text.
        limits: which pairs to leave out; `left_out` of the split says how many.
        progress: called as progress("tokenize", done, total) in bytes.

    Raises:
        UserError: for what cannot be read, a wrong row, and where no pair is left.
    """
    config = dataclasses.replace(config or DataConfig(), workers=1)
    limits = limits or PairLimits()
    encode = PairEncoder(tokenizer, source_tokenizer or tokenizer)
    text = EncodedPairsText({"file": units_at(path, config)}, config, encode)
    sources, targets, left_out = [], [], np.zeros(len(REASONS), np.int64)
    for _, pairs in text.batches():
        reasons = limits.reasons(pairs, to_train_on=False)
        left_out += count_reasons(reasons)
        if (reasons < 0).any():
            sources.append(pairs.source.only(reasons < 0))
            targets.append(pairs.target.only(reasons < 0))
        if progress is not None:
            progress("tokenize", text.bytes_read, text.total)
    if not sources:
        raise UserError(f"{path} holds no pair of texts. {FORMS}{note_left_out(left_out)}")
    counts = dict(zip(REASONS, map(int, left_out), strict=True))
    return parallel_in_memory(sources, targets, tokenizer, counts)


def describe_pairs(card: dict) -> list[str]:
    """What the card of a ParallelStore has beyond that of a Store, a line for each split that is not empty."""
    limits, lines = card["limits"], []
    longest = "/".join(str(limits[f"max_{side}_tokens"] or "any") for side in ("source", "target"))
    for name, split in card["splits"].items():
        if not split["documents"]:
            continue
        left_out, source = split["left_out"], split["source"]
        buckets = _buckets(split, "longest")
        lines.append(
            f"  {name:<10} {source['tokens']:,} source tokens, {source['unknown_share']:.2%} <unk>, left out "
            f"{left_out['empty']:,} with an empty side, {left_out['too_long']:,} longer than {longest} tokens, "
            f"{left_out['unequal']:,} of unequal length; {split['shared_with_train']:,} sources also in train; "
            f"padding {padding_share(buckets):.1%} in {len(buckets)} bucket{'s' * (len(buckets) != 1)}"
        )
    if card["synthetic"] is not None:
        added = card["synthetic"]
        lines.append(
            f"  synthetic  {added['pairs']:,} pairs added to train, left out {added['held_out']:,} of which a side is "
            "also in a held-out split"
        )
    return lines


def _buckets(counts: dict, measure: str) -> tuple[Bucket, ...]:
    return tuple(Bucket(**values) for values in counts["buckets"][measure])
