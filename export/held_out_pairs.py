"""What an artifact that translates is proved on: pairs that the run was not trained on."""

import dataclasses

import numpy as np

from tflm.errors import UserError

MORE_NEW_TOKENS = 16  # a translation may be so much longer than the longest held-out target


@dataclasses.dataclass
class HeldOutPairs:
    """
    Attributes:
        sources, targets: texts.
        source_ids: per source what the model reads: `ids..., eos`; of a model without an encoder BOS and the prompt.
        target_ids: per target `ids..., eos`.
        new_tokens: how many are drawn for each source, at most.
    """

    sources: list[str]
    targets: list[str]
    source_ids: list[list[int]]
    target_ids: list[list[int]]
    new_tokens: int


def from_run(
    run, longest_source: int | None, longest_target: int | None, num_pairs: int, progress=None
) -> HeldOutPairs:
    """Pairs from the test split of the run's own corpus, or its validation split where it has no test pairs.

    Args:
        run: a tflm.run.Run.
        longest_source, longest_target: tokens that the artifact holds; None for any number. Of a model without an
            encoder `longest_target` counts both.
        num_pairs: how many, evenly from the split; 0 for all.
    """
    store = run.open_store(progress)
    for name in ("test", "validation"):
        split = store.split(name)
        if split.num_pairs:
            count = min(num_pairs or split.num_pairs, split.num_pairs)
            rows = np.linspace(0, split.num_pairs - 1, count).astype("int64")
            pairs = [(split.source(row), split.target(row)) for row in rows]
            return from_ids(run, pairs, longest_source, longest_target)
    raise UserError(
        "The corpus of this run has no held-out pairs to prove an export with. "
        "Train with a larger data.test_fraction, or give data.test_corpus."
    )


def from_ids(run, pairs, longest_source: int | None, longest_target: int | None) -> HeldOutPairs:
    """Pairs of ids, as they are stored, made into texts and read again from these, so that encoding is proved too."""
    from export.source_reader import reader_of

    reader, tokenizer = reader_of(run), run.tokenizer
    kept = []

    def fits(source: int, target: int) -> bool:
        if longest_target is None:
            return longest_source is None or source <= longest_source
        if reader.has_encoder:
            return source <= longest_source and target < longest_target
        # `Translator` leaves a quarter of the context to the target.
        return source <= longest_target - longest_target // 4 and source + target < longest_target

    for source_ids, target_ids in pairs:
        source = run.source_tokenizer.decode(source_ids)
        target = tokenizer.decode(target_ids)
        read, wanted = reader.ids(source), [*tokenizer.encode(target), tokenizer.eos_id]
        if source and len(wanted) > 1 and fits(len(read), len(wanted)):
            kept.append((source, target, read, wanted))
    if not kept:
        raise UserError(
            f"None of the {len(pairs)} held-out pairs fits the lengths of the artifact, "
            f"{longest_source} and {longest_target} tokens. Give a larger --source_length or --cache_length."
        )
    sources, targets, source_ids, target_ids = map(list, zip(*kept, strict=True))
    new_tokens = max(map(len, target_ids)) + MORE_NEW_TOKENS
    if longest_target is not None:
        read = 0 if reader.has_encoder else max(map(len, source_ids))
        new_tokens = min(new_tokens, longest_target - 1 - read)
    return HeldOutPairs(sources, targets, source_ids, target_ids, new_tokens)
