"""From a batch of documents to arrays: what a worker process does, and nothing it would have to import
TensorFlow for.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from tflm.data.duplicates import document_hash


@dataclasses.dataclass
class EncodedBatch:
    """The documents of a batch as token ids, with what is counted about them.

    Attributes:
        tokens: (total,) uint16 or uint32; `bos, ids..., eos` of every document, one after the other.
        lengths: (n,) int64, tokens of each document, with bos and eos.
        hashes: (n,) uint64.
        counts: (n, 4) int64, the columns are `COUNTS`.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    hashes: np.ndarray
    counts: np.ndarray

    def only(self, keep: np.ndarray) -> "EncodedBatch":
        """The documents that `keep`, bool (n,), says."""
        if keep.all():
            return self
        tokens = self.tokens[np.repeat(keep, self.lengths)]
        return EncodedBatch(tokens, self.lengths[keep], self.hashes[keep], self.counts[keep])

    def without_first(self) -> "EncodedBatch":
        """Every document without its first token: the source of a pair has no bos."""
        keep = np.ones(len(self.tokens), bool)
        keep[np.cumsum(self.lengths) - self.lengths] = False
        return EncodedBatch(self.tokens[keep], self.lengths - 1, self.hashes, self.counts)


# What a worker is given at a time; its ids take about as many bytes.
BATCH_CHARACTERS = 1 << 20
# Words are what whitespace separates; Chinese has none, so characters (code points) stand beside them.
COUNTS = ("bytes", "characters", "words", "unknown_tokens")


def in_batches(documents: Iterable, size_of=lambda document: len(document.text)) -> Iterator[list]:
    """`documents`, of so many characters each, in lists of BATCH_CHARACTERS characters or a little more."""
    batch, size = [], 0
    for document in documents:
        batch.append(document)
        size += size_of(document)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def hash_documents(texts: list[str]) -> np.ndarray:
    """uint64 (n,)."""
    return np.fromiter((document_hash(text) for text in texts), np.uint64, len(texts))


def token_dtype(vocabulary_size: int) -> np.dtype:
    """uint16 where it holds every id, else uint32."""
    return np.dtype(np.uint16 if vocabulary_size <= 1 << 16 else np.uint32)


def encode_documents(tokenizer, texts: list[str]) -> EncodedBatch:
    """Encodes `texts`; here, and nowhere else, a document gets its bos and eos."""
    encoded = tokenizer.encode_batch(texts)
    lengths = np.fromiter((len(ids) + 2 for ids in encoded), np.int64, len(texts))
    tokens = np.empty(int(lengths.sum()), dtype=token_dtype(tokenizer.vocabulary_size))
    counts = np.empty((len(texts), len(COUNTS)), dtype=np.int64)
    # Corpora as WikiText spell <unk> themselves: a word tokenizer reads it as what it says, and hides nothing.
    name = tokenizer.piece(tokenizer.unk_id)
    is_spelled = tokenizer.encode(name) == [tokenizer.unk_id]
    start = 0
    for row, (text, ids) in enumerate(zip(texts, encoded, strict=True)):
        end = start + len(ids) + 2
        tokens[start] = tokenizer.bos_id
        tokens[start + 1 : end - 1] = ids
        tokens[end - 1] = tokenizer.eos_id
        unknown = np.count_nonzero(tokens[start + 1 : end - 1] == tokenizer.unk_id)
        words = text.split()
        if is_spelled:
            unknown -= words.count(name)
        counts[row] = len(text.encode("utf-8")), len(text), len(words), unknown
        start = end
    return EncodedBatch(tokens, lengths, hash_documents(texts), counts)
