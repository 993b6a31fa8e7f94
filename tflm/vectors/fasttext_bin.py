"""fastText's own file, .bin, of word vectors and of classifiers: all that a word's vector is made of.

As `FastText::saveModel` of fasttext.cc writes it, little-endian:

    magic, version                      2 int32
    dim, ..., bucket, minn, maxn, ...   12 int32, then a double (args.cc)
    size, words, labels                 3 int32
    tokens, pruned                      2 int64; the second is -1 unless the model was quantized
    size times                          the word's bytes, 0, its count as int64, its type as int8
    quantized                           1 byte
    rows, dim, the input matrix         2 int64, float32: a row for each word, then for each bucket
    quantized, rows, dim, output        not read

Nothing that a length says is believed beyond what the file holds.

Shapes: N words, D hidden, B buckets.
"""

import struct

import numpy as np

from tflm.text.subwords import Subwords
from tflm.vectors.builder import MAX_DIM, decoded, repeated_note
from tflm.vectors.word_vectors import SubwordRows, WordVectors

MAGIC = struct.pack("<i", 793712314)
_ARGS = (
    *("dim", "ws", "epoch", "min_count", "neg", "word_ngrams", "loss", "model"),
    *("bucket", "minn", "maxn", "lr_update_rate"),
)
_SUPERVISED = 3
_WORD_BYTES = 1 << 16
_ENTRY_BYTES = 10  # of an empty word
_MAX_NGRAM = 256
_BLOCK_BYTES = 1 << 20


def read(source, limit=None, unicode_errors="strict"):
    """See `formats.read`. A classifier's labels are no words.

    Returns:
        WordVectors with `counts`, with `subword_rows` where the model has n-grams of characters, and as `table` what
        fastText's `get_word_vector` gives.
    """
    args = _read_args(source)
    size, num_words, num_labels = struct.unpack("<3i", source.exactly(12, "the dictionary"))
    _, pruned = struct.unpack("<2q", source.exactly(16, "the dictionary"))
    if min(num_words, num_labels) < 0 or size != num_words + num_labels:
        raise source.error(
            f"its dictionary is damaged: {size} entries, {num_words} words, {num_labels} labels"
        )
    if source.left is not None and size * _ENTRY_BYTES > source.left:
        raise source.error(
            f"its dictionary promises {size} entries, for which the {source.left} bytes behind it "
            "are too few; get the file once more"
        )
    kept = num_words if limit is None else min(limit, num_words)
    words, counts = _read_words(source, size, num_words, kept, unicode_errors)
    quantized = source.exactly(1, "the input matrix") != b"\0"
    if quantized or pruned != -1:
        raise source.error(
            "a quantized model (.ftz) does not hold its vectors; give the .bin it was made from"
        )
    own, buckets = _read_input(source, args, num_words, kept)

    first: dict[str, int] = {}
    for i, word in enumerate(words):
        first.setdefault(word, i)
    notes = repeated_note(len(words) - len(first))
    if notes:
        rows = list(first.values())
        words, counts, own = list(first), counts[rows], own[rows]
    if buckets is None:
        return WordVectors(words, own, counts, notes=notes)
    subwords = Subwords(args["minn"], args["maxn"], len(buckets))
    subword_rows = SubwordRows(subwords, buckets, own)
    return WordVectors(
        words, subword_rows.known(words, source.progress), counts, subword_rows, notes
    )


def _read_args(source) -> dict[str, int]:
    magic, version = source.exactly(4, "the header"), source.exactly(4, "the header")
    version = struct.unpack("<i", version)[0]
    if magic != MAGIC or version not in (11, 12):
        raise source.error("this is no .bin of fastText, version 11 or 12")
    names = (*_ARGS, "t")
    args = dict(zip(names, struct.unpack("<12id", source.exactly(56, "the header")), strict=True))
    if version == 11 and args["model"] == _SUPERVISED:
        args["maxn"] = 0  # as FastText::loadModel has it
    if args["minn"] > args["maxn"]:
        args["maxn"] = 0
    for name, (low, high) in {
        "dim": (1, MAX_DIM),
        "bucket": (1 if args["maxn"] > 0 else 0, 2**31 - 1),
        "minn": (0, 2**31 - 1),
        "maxn": (0, _MAX_NGRAM),
    }.items():
        if not low <= args[name] <= high:
            raise source.error(
                f"its header is damaged: `{name}` must be from {low} to {high}, not {args[name]}"
            )
    return args


def _read_words(source, size, num_words, kept, unicode_errors):
    """The first `kept` words, and their counts (kept,)."""
    words, counts = [], []
    start = source.position
    for i, (word, count, kind, place) in enumerate(_entries(source, size, start)):
        if (kind == 0) != (i < num_words):
            raise source.error(f"its dictionary is damaged: the entry at byte {place} is no word")
        if i < kept:
            words.append(decoded(word, unicode_errors, source, f"byte {place}"))
            counts.append(count)
    return words, np.array(counts, np.int64)


def _entries(source, size, first):
    """(word, count, type, its place in the file) of every entry; the source then stands behind the last one."""
    data, start = b"", 0
    for _ in range(size):
        while True:
            end = data.find(b"\0", start)
            if (len(data) if end < 0 else end) - start > _WORD_BYTES:
                place = first + start
                raise source.error(f"its dictionary is damaged: no word ends behind byte {place}")
            if end >= 0 and end + _ENTRY_BYTES <= len(data):
                break
            more = source.read(_BLOCK_BYTES)
            if not more:
                raise source.ends_early("the dictionary")
            data, first, start = data[start:] + more, first + start, 0
        count, kind = struct.unpack_from("<qb", data, end + 1)
        yield data[start:end], count, kind, first + start
        start = end + _ENTRY_BYTES
    source.back(len(data) - start)


def _read_input(source, args, num_words, kept):
    """The rows of the first words (kept, D), and of the buckets (B, D) where n-grams of characters are in them."""
    rows, dim = struct.unpack("<2q", source.exactly(16, "the input matrix"))
    if (rows, dim) != (num_words + args["bucket"], args["dim"]):
        raise source.error(
            f"its input matrix is damaged: ({rows}, {dim}) instead of "
            f"({num_words + args['bucket']}, {args['dim']})"
        )
    if args["maxn"] == 0:
        return source.matrix(kept, dim, "the input matrix"), None
    own = source.matrix(kept, dim, "the input matrix")
    source.skip(4 * dim * (num_words - kept), "the input matrix")
    return own, source.matrix(args["bucket"], dim, "the input matrix")
