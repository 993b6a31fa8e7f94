"""How often which words stand near each other: GloVe's table of co-occurrences, counted once and kept on disk.

Pennington, Socher and Manning 2014, "GloVe: Global Vectors for Word Representation", section 3 and 4.2: two words that
stand d places apart, d at most the window, count 1/d in both directions. The window ends with the document. An unknown
word counts for nothing but takes its place (the authors' program drops it, which brings its neighbours together).

    <cache>/cooccurrences/<fingerprint>/pairs.bin     records of PAIR, each unordered pair once, shuffled
                                        pairs.json    how many

The table is the same, bit by bit, for any memory that counting may take; see pair_runs.py.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from tflm.data import pair_runs
from tflm.data.cached_folder import build_once
from tflm.data.corpora import cache_folder as cache_folder_or_default
from tflm.data.pair_runs import (
    LARGEST_VOCABULARY,
    LARGEST_WINDOW,
    NUM_SPECIAL_IDS,
    PAIR,
    PairNumbers,
    count_pairs,
    flush,
    merge_runs,
)
from tflm.data.store import TokenSplit
from tflm.errors import UserError

MEMORY_BYTES = 1 << 29


@dataclasses.dataclass(frozen=True)
class Cooccurrences:
    """The table of one text.

    Attributes:
        path: of the file of pairs.
        num_pairs: pairs of words with a count, (i, j) and (j, i) being one.
    """

    path: Path
    num_pairs: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """Pairs `start` to `stop` - 1 as records of PAIR: `first` <= `second`, and `count` X_ij = X_ji > 0.

        Read, not mapped: memory that is mapped would creep up to the size of the file.
        """
        return np.fromfile(self.path, PAIR, count=stop - start, offset=start * PAIR.itemsize)


def cooccurrences(
    split: TokenSplit,
    vocabulary_size: int,
    window: int,
    cache_folder: Path | str | None = None,
    memory_bytes: int = MEMORY_BYTES,
    progress=None,
) -> Cooccurrences:
    """The co-occurrences of a text, counted now if they are not in the cache.

    Args:
        split: ids 0 to 3 are no words.
        vocabulary_size: V.
        window: how many places to each side count.
        cache_folder: default $TFLM_CACHE, else ~/.cache/tflm.
        memory_bytes: about what counting may take; the rest goes to the disk.
        progress: called as progress(description, done, total).

    Raises:
        UserError: where the cache cannot be written.
    """
    if not NUM_SPECIAL_IDS < vocabulary_size <= LARGEST_VOCABULARY:
        raise UserError(
            f"Co-occurrences need {NUM_SPECIAL_IDS + 1} to {LARGEST_VOCABULARY:,} tokens. "
            f"Received: a vocabulary of {vocabulary_size:,}."
        )
    if not 1 <= window <= LARGEST_WINDOW:
        raise UserError(f"`window` must be 1 to {LARGEST_WINDOW}. Received: {window}.")
    room = cache_folder_or_default(cache_folder) / "cooccurrences"
    folder = room / _fingerprint(split, vocabulary_size, window)
    numbers = PairNumbers(vocabulary_size, window)

    def write(folder: Path):
        runs = folder / "runs.bin"
        ends = count_pairs(split, numbers, runs, memory_bytes, progress)
        num_pairs = merge_runs(runs, ends, numbers, folder / "pairs.bin", memory_bytes, progress)
        runs.unlink()
        with open(folder / "pairs.json", "w", encoding="utf-8") as file:
            json.dump({"num_pairs": num_pairs, "window": window}, file)
            flush(file)

    try:
        return build_once(folder, _open, write, progress)
    except OSError as error:
        raise UserError(
            f"Cannot write the co-occurrences to {room}: {error.strerror or error}. Free some space, or name "
            "another cache folder with the environment variable TFLM_CACHE."
        ) from error


def _open(folder: Path) -> Cooccurrences | None:
    path = folder / "pairs.bin"
    try:
        num_pairs = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))["num_pairs"]
        if path.stat().st_size != num_pairs * PAIR.itemsize:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Cooccurrences(path, num_pairs)


def _fingerprint(split: TokenSplit, vocabulary_size: int, window: int) -> str:
    """Of the tokens themselves (a second a gigabyte), of the settings and of the code."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{vocabulary_size} {window} {split.tokens.dtype.str}\n".encode())
    for source in (__file__, pair_runs.__file__):
        digest.update(hashlib.blake2b(Path(source).read_bytes()).digest())
    for start in range(0, len(split.tokens), 1 << 22):
        digest.update(np.ascontiguousarray(split.tokens[start : start + (1 << 22)]).data)
        split.release_pages()
    return digest.hexdigest()
