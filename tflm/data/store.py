"""Token ids on disk, memory-mapped: built once for a text, a tokenizer and a version of the code.

A store is a folder of the cache, <cache>/stores/<fingerprint>; see cached_folder.py.
"""

import dataclasses
import json
import mmap
import os
from pathlib import Path

import numpy as np

from tflm.data import corpora
from tflm.data.cached_folder import build_once
from tflm.data.corpora import SPLITS, DataConfig
from tflm.data.fill import fill
from tflm.data.fingerprint import file_states, store_fingerprint
from tflm.errors import UserError, unknown_name


@dataclasses.dataclass(frozen=True)
class TokenSplit:
    """One split of a store.

    Attributes:
        name: "train", "validation" or "test".
        tokens: (num_tokens,) uint16 or uint32, read-only, mapped from disk: `bos, ids..., eos` of
            every document, one after the other.
        document_starts: (num_documents,) int64, mapped too: where each bos stands.
        num_bytes: UTF-8 bytes of the text, before any normalisation.
        num_characters: code points.
        num_words: what whitespace separates.
        num_documents: documents.
        num_unknown: unk tokens, without those that the text spells itself.
        bos_id: the token that begins a document.
    """

    name: str
    tokens: np.ndarray
    document_starts: np.ndarray
    num_bytes: int
    num_characters: int
    num_words: int
    num_documents: int
    num_unknown: int
    bos_id: int = 2

    @property
    def unknown_share(self) -> float:
        """Share of unk among the tokens of the text, bos and eos left out."""
        return self.num_unknown / max(len(self.tokens) - 2 * self.num_documents, 1)

    def spans(self, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each of `documents`, (n,) int, begins in `tokens`, and how many tokens it has."""
        return spans(self.document_starts, len(self.tokens), documents)

    def release_pages(self):
        """Gives back the memory of what was read so far; it is read again where needed.

        Without this the resident memory of a training run would creep up to the size of the store.
        """
        release_pages(self.tokens)


class Store:
    """A store on disk. One of other things than tokens is a subclass with its own `room`, `write` and `files`.

    Attributes:
        folder: where it lies.
        fingerprint: of everything it was made from.
        card: what was counted, plain JSON: "splits" -> name -> documents, tokens, bytes, characters,
            words, unknown_tokens, unknown_share, duplicates_removed, shared_removed; "files",
            "skipped_files", and more.
    """

    room = "stores"  # the folder of all stores of the kind, in the cache
    write = staticmethod(fill)

    def __init__(self, folder: Path, card: dict):
        self.folder = folder
        self.fingerprint = folder.name
        self.card = card

    @staticmethod
    def files(card: dict, name: str) -> dict[str, int]:
        """The files of a split, by what stands behind its name, and their sizes in bytes."""
        counts = card["splits"][name]
        return {
            "bin": counts["tokens"] * np.dtype(card["dtype"]).itemsize,
            "document_starts.bin": counts["documents"] * 8,
        }

    def split(self, name: str) -> TokenSplit:
        """The split called "train", "validation" or "test".

        Raises:
            UserError: for another name, or a split that the configuration left empty.
        """
        if name not in SPLITS:
            raise unknown_name("split", name, SPLITS)
        counts = self.card["splits"][name]
        if not counts["documents"]:
            raise UserError(
                f"This store has no {name} split: --config.data.{name}_fraction was 0. "
                f"Set it, or give --config.data.{name}_corpus."
            )
        return TokenSplit(
            name=name,
            tokens=mapped(self.folder / f"{name}.bin", self.card["dtype"]),
            document_starts=mapped(self.folder / f"{name}.document_starts.bin", "int64"),
            num_bytes=counts["bytes"],
            num_characters=counts["characters"],
            num_words=counts["words"],
            num_documents=counts["documents"],
            num_unknown=counts["unknown_tokens"],
            bos_id=self.card["tokenizer"]["bos_id"],
        )


class StoreText:
    """What a store is asked for: the files, as they are now, with the tokenizer.

    Attributes:
        sources: the corpora by the split that they are read for.
        fingerprint: the name of the store.
    """

    def __init__(
        self,
        config: DataConfig,
        tokenizer,
        cache: Path,
        progress=None,
        resolve=corpora.resolve,
        settings=None,
    ):
        self.config, self.tokenizer = config, tokenizer
        self.sources = resolve(config, cache, progress)
        self._states = file_states(self.sources)
        self.fingerprint = store_fingerprint(self.sources, config, tokenizer, progress, settings)

    def check_unchanged(self):
        """Raises UserError where a file is no longer as it was."""
        if file_states(self.sources) != self._states:
            raise UserError("The text changed while it was read. Run the same command again.")


def build_store(
    config: DataConfig,
    tokenizer,
    cache_folder: Path | str | None = None,
    progress=None,
    kind: type[Store] = Store,
) -> Store:
    """The store for this text and tokenizer, built now if it is not in the cache.

    Args:
        config: what to read, how to cut and split it.
        tokenizer: see tflm/text/tokenizer.py.
        cache_folder: default $TFLM_CACHE, else ~/.cache/tflm.
        progress: called as progress(description, done, total) in bytes.
        kind: of what: Store, or a subclass.

    Raises:
        UserError: for a corpus that cannot be read, is empty or too small to split, and for a cache
            that cannot be written. Nothing half-built is left in the cache.
    """
    cache = corpora.cache_folder(cache_folder)
    text = StoreText(config, tokenizer, cache, progress)
    return store_of(text, cache, progress, kind, kind.write)


def store_of(text: StoreText, cache: Path, progress, kind: type[Store], fill_folder) -> Store:
    """The store of `text` in `cache`; made by `fill_folder`, which does as `fill` does, where it is missing."""
    names = {split: corpus.name for split, corpus in text.sources.items()}
    folder = cache / kind.room / text.fingerprint

    def write(building: Path):
        card = fill_folder(building, text.sources, text.config, text.tokenizer, progress)
        text.check_unchanged()
        write_json(building / "store.json", card)

    try:
        return build_once(folder, lambda place: _open(kind, place, names), write, progress)
    except OSError as error:
        raise UserError(
            f"Cannot write the token store to {folder.parent}: {error.strerror or error}. Free some "
            "space, or name another cache folder with the environment variable TFLM_CACHE."
        ) from error


def write_json(path: Path, values: dict):
    """Writes `values` and flushes them to the disk."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(values, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())


def _open(kind: type[Store], folder: Path, names: dict[str, str]) -> Store | None:
    """The store in `folder`; None where there is none, or files were lost or cut off."""
    try:
        card = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        for name in SPLITS:
            for file, size in kind.files(card, name).items():
                if (folder / f"{name}.{file}").stat().st_size != size:
                    return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return kind(folder, {"corpus": names, "fingerprint": folder.name, **card})


def mapped(path: Path, dtype: str) -> np.ndarray:
    """A file of numbers, read-only, mapped from disk."""
    with open(path, "rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapping, dtype=dtype)


def spans(starts: np.ndarray, num_tokens: int, documents: np.ndarray):
    """Where `documents`, (n,) int, begin, and their lengths, of all that begin at `starts` in so many tokens."""
    first = starts[documents]
    following = np.minimum(documents + 1, len(starts) - 1)
    return first, np.where(following > documents, starts[following], num_tokens) - first


def release_pages(array: np.ndarray):
    """Gives back the memory of what was read of a file that `mapped` gave; nothing for another array."""
    mapping = array.base
    if isinstance(mapping, memoryview):
        mapping = mapping.obj
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
