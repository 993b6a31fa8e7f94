"""A store built in shards by several machines, and joined: identical, byte for byte, to the one built in one go.

    <folder>/<fingerprint>/0_of_4/shard/data.bin     the encoded batches of a share of the text (encoded_text.py)
    <folder>/<fingerprint>/0_of_4/shard/shard.json   written last

What documents have to do with each other, which of them are duplicates and which split is empty, is decided where
the shards are joined, by the code that fills a store from the text itself. The fingerprint is that of the store, so
shards of another text, another tokenizer or another version are never joined. A shard appears whole or not at all.

A batch in data.bin, all numbers int64 but for the tokens:

    corpus, file, batch, documents, tokens   where it stands, and its size
    lengths, hashes, counts, tokens          the arrays of an EncodedBatch
"""

import contextlib
import heapq
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tflm.data import corpora
from tflm.data.cached_folder import build_once
from tflm.data.corpora import DataConfig
from tflm.data.encode import COUNTS, EncodedBatch, token_dtype
from tflm.data.encoded_text import CORPORA, EncodedText, Place, Share
from tflm.data.fill import fill_from
from tflm.data.free_memory import release_free_memory
from tflm.data.store import Store, StoreText, store_of, write_json
from tflm.errors import UserError

_HEADER = 5
_BATCHES_BETWEEN_RELEASES = 16


def build_shard(
    folder: Path | str,
    share: Share,
    config: DataConfig,
    tokenizer,
    cache_folder: Path | str | None = None,
    progress=None,
) -> list[Share]:
    """Builds one shard where it is missing. Returns those that are still missing.

    Args:
        folder: of the shards; the same for all machines.
        share: which.
        config, tokenizer, cache_folder, progress: as for `build_store`.

    Raises:
        UserError: for a corpus that cannot be read, and a folder that cannot be written.
    """
    text = StoreText(config, tokenizer, corpora.cache_folder(cache_folder), progress)
    return build_shard_of(text, Path(folder), share, progress)


def build_shard_of(text: StoreText, folder: Path, share: Share, progress=None) -> list[Share]:
    """As `build_shard`, for a text whose fingerprint is known."""
    shards = folder / text.fingerprint

    def write(building: Path):
        card = _write(building, text, share, progress)
        text.check_unchanged()
        write_json(building / "shard.json", card)

    try:
        # In a folder of its own: building one shard must not tidy up after the machine that builds another.
        build_once(_place(shards, share), _open, write, progress)
    except OSError as error:
        raise UserError(
            f"Cannot write the shard to {shards}: {error.strerror or error}. Free some space, or name another folder."
        ) from error
    return missing(shards, share.count)


def join_shards(
    folder: Path | str,
    config: DataConfig,
    tokenizer,
    cache_folder: Path | str | None = None,
    progress=None,
) -> Store:
    """The store, joined from all its shards where it is not in the cache; the shards stay.

    Args:
        folder: of the shards.
        config, tokenizer, cache_folder, progress: as for `build_store`.

    Raises:
        UserError: where shards are missing; as `build_store`.
    """
    cache = corpora.cache_folder(cache_folder)
    text = StoreText(config, tokenizer, cache, progress)
    return join_shards_of(text, Path(folder), cache, progress)


def join_shards_of(text: StoreText, folder: Path, cache: Path, progress=None) -> Store:
    """As `join_shards`, for a text whose fingerprint is known."""

    def write(building, sources, config, tokenizer, progress):
        shards = _complete(folder / text.fingerprint)
        joined = _JoinedText(shards, token_dtype(tokenizer.vocabulary_size))
        return fill_from(joined, building, sources, config, tokenizer, progress)

    return store_of(text, cache, progress, Store, write)


def missing(shards: Path, count: int) -> list[Share]:
    """Which of `count` shards of a text are not in the folder `shards`."""
    every = (Share(index, count) for index in range(count))
    return [share for share in every if _open(_place(shards, share)) is None]


def _place(shards: Path, share: Share) -> Path:
    return shards / f"{share.index}_of_{share.count}" / "shard"


def _complete(shards: Path) -> list[Path]:
    """The folders of a complete set of shards."""
    names = [path.name for path in shards.iterdir()] if shards.is_dir() else []
    found = [re.fullmatch(r"\d+_of_(\d+)", name) for name in names]
    counts = sorted({int(match[1]) for match in found if match})
    for count in counts:
        if not missing(shards, count):
            return [_place(shards, Share(index, count)) for index in range(count)]
    if not counts:
        raise UserError(
            f"{shards.parent} holds no shard of this text and tokenizer (no {shards.name} in it). Build them with "
            "the same recipe, corpus, tokenizer and version of tflm."
        )
    lacking = missing(shards, counts[-1])
    listed = ", ".join(f"{share.index}/{share.count}" for share in lacking[:5])
    more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
    raise UserError(f"Shards are missing in {shards}: {listed}{more}. Build them with --shard.")


def _open(folder: Path) -> dict | None:
    """The card of a shard; None where it is missing or its data was cut off."""
    try:
        card = json.loads((folder / "shard.json").read_text(encoding="utf-8"))
        whole = (folder / "data.bin").stat().st_size == card["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return card if whole else None


def _write(building: Path, text: StoreText, share: Share, progress) -> dict:
    part = EncodedText(text.sources, text.config, text.tokenizer, share)
    with (
        open(building / "data.bin", "wb") as file,
        contextlib.closing(part.batches()) as encoded,
    ):
        for number, (place, batch) in enumerate(encoded, 1):
            sizes = (len(batch.lengths), len(batch.tokens))
            file.write(np.array([*place, *sizes], np.int64).data)
            for values in (batch.lengths, batch.hashes, batch.counts, batch.tokens):
                file.write(values.data)
            if progress is not None:
                progress(part.activity, part.done, part.total)
            if number % _BATCHES_BETWEEN_RELEASES == 0:
                release_free_memory()
        file.flush()
        os.fsync(file.fileno())
        return {
            "bytes": file.tell(),
            "problems": [[*place, problem] for place, problem in part.problems.items()],
        }


class _JoinedText:
    """The batches of all shards in reading order: does as an EncodedText of all the text does."""

    activity = "join"

    def __init__(self, shards: list[Path], dtype: np.dtype):
        self._shards, self._dtype = shards, dtype
        cards = [_open(shard) for shard in shards]
        self.total = sum(card["bytes"] for card in cards)
        self.done = 0
        problems = (problem for card in cards for problem in card["problems"])
        self.problems = {(split, number): message for split, number, message in problems}

    def batches(self) -> Iterator[tuple[Place, EncodedBatch]]:
        """
        Raises:
            UserError: where a batch is missing.
        """
        self.done = 0
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(shard / "data.bin", "rb")) for shard in self._shards]
            # Only headers wait in the merge; the rest of a batch is read when its turn comes.
            merged = heapq.merge(*map(self._headers, range(len(files)), files))
            before = None
            for place, number, position, documents, tokens in merged:
                self._check_follows(before, place)
                before = place
                file = files[number]
                file.seek(position)
                yield place, self._read(file, documents, tokens)
                self.done += file.tell() - position

    def _headers(self, number: int, file) -> Iterator[tuple]:
        """(place, number of the shard, where the arrays begin, documents, tokens) of its batches."""
        position = 0
        while True:
            file.seek(position)
            header = np.fromfile(file, np.int64, _HEADER)
            if not len(header):
                return
            corpus, first, batch, documents, tokens = map(int, header)
            position = file.tell()
            yield Place(corpus, first, batch), number, position, documents, tokens
            position += documents * 8 * (2 + len(COUNTS)) + tokens * self._dtype.itemsize

    def _read(self, file, documents: int, tokens: int) -> EncodedBatch:
        lengths = np.fromfile(file, np.int64, documents)
        hashes = np.fromfile(file, np.uint64, documents)
        counts = np.fromfile(file, np.int64, documents * len(COUNTS)).reshape(-1, len(COUNTS))
        return EncodedBatch(np.fromfile(file, self._dtype, tokens), lengths, hashes, counts)

    @staticmethod
    def _check_follows(before: Place | None, place: Place):
        same_run = before is not None and before[:2] == place[:2]
        if place.batch != (before.batch + 1 if same_run else 0):
            raise UserError(
                f"The shards do not fit together: in the {CORPORA[place.corpus]} corpus, batch {place.batch} of file "
                f"{place.file} does not follow. Remove them and build them again."
            )
