"""A split of a few texts, in memory: what a file is scored by, beside the splits of a store."""

import numpy as np

from tflm.data.encode import COUNTS, EncodedBatch
from tflm.data.store import TokenSplit


def split_in_memory(batches: list[EncodedBatch], tokenizer) -> TokenSplit:
    """The documents of at least one batch, as the split "file".

    Args:
        batches: as `encode_documents` gives them.
        tokenizer: by which they were encoded.
    """
    lengths = np.concatenate([batch.lengths for batch in batches])
    totals = np.concatenate([batch.counts for batch in batches]).sum(axis=0)
    counts = dict(zip(COUNTS, map(int, totals), strict=True))
    return TokenSplit(
        name="file",
        tokens=np.concatenate([batch.tokens for batch in batches]),
        document_starts=np.cumsum(lengths) - lengths,
        num_bytes=counts["bytes"],
        num_characters=counts["characters"],
        num_words=counts["words"],
        num_documents=len(lengths),
        num_unknown=counts["unknown_tokens"],
        bos_id=tokenizer.bos_id,
    )
