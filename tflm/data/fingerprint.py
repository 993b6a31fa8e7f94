"""What a token store depends on, as one string: text, configuration, tokenizer and our own code.

Everything is hashed each time a store is asked for (about a second a gigabyte), because names, sizes
and dates of files do not tell whether a text is the same.
"""

import hashlib
import json
import os
import unicodedata
from pathlib import Path

import tflm.data
import tflm.text
from tflm.data.corpora import Corpus, DataConfig, SourceFile
from tflm.data.readers import BadFile, byte_blocks

_FIELDS = (
    "encoding",
    "on_bad_file",
    "text_field",
    "text_column",
    "documents",
    "section_bytes",
    "validation_fraction",
    "test_fraction",
    "folds",
    "fold",
    "source_column",
    "target_column",
    "label_column",
    "label_separator",
    "second_text_column",
    "word_column",
    "tag_column",
)
# All other modules of the two rooms count, so that a new one is never forgotten.
_NO_INFLUENCE = {
    "bag_batches.py",
    "cooccurrence.py",
    "features.py",
    "free_memory.py",
    "pair_batches.py",
    "pair_runs.py",
    "parallel_batches.py",
    "prompted_batches.py",
    "tagged_batches.py",
    "bucket_order.py",
    "windows.py",
    "word_chunks.py",
    "workers.py",
}


def store_fingerprint(
    corpora: dict[str, Corpus], config: DataConfig, tokenizer, progress=None, settings=None
) -> str:
    """32 hexadecimal digits. Where the files lie and what they are called does not count.

    `settings` are plain values of which the store's contents depend, too, where it is of a kind that has some.
    """
    done, total = 0, sum(_size(file) for corpus in corpora.values() for file in corpus.files)
    contents = {}
    for split, corpus in corpora.items():
        contents[split] = []
        for file in corpus.files:
            contents[split].append([file.format, file.compression, _content_hash(file, config)])
            done += _size(file)
            if progress is not None:
                progress("check text", done, total)
    parts = {
        "contents": contents,
        "config": {name: getattr(config, name) for name in _FIELDS},
        "tokenizer": [tokenizer.kind, tokenizer.vocabulary_size, tokenizer.fingerprint()],
        "code": code_hash(),
        "unicode": unicodedata.unidata_version,
    }
    if settings is not None:
        parts["settings"] = settings
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()


def code_hash() -> str:
    """Of the source of tflm.text and tflm.data, as far as it decides ids and their order."""
    digest = hashlib.blake2b(digest_size=16)
    for room in (tflm.text, tflm.data):
        folder = Path(room.__file__).parent
        for path in sorted(folder.rglob("*.py")):
            if path.name not in _NO_INFLUENCE:
                source = path.read_bytes()
                digest.update(f"{path.relative_to(folder.parent)} {len(source)}\n".encode())
                digest.update(source)
    return digest.hexdigest()


def file_states(corpora: dict[str, Corpus]) -> list[tuple]:
    """Size and date of every file, to see whether one changes while it is read."""
    states = []
    for corpus in corpora.values():
        for file in corpus.files:
            try:
                status = os.stat(file.path)
                states.append((str(file.path), status.st_size, status.st_mtime_ns))
            except OSError as error:
                states.append((str(file.path), error.errno, 0))
    return states


def _content_hash(file: SourceFile, config: DataConfig) -> str:
    digest = hashlib.blake2b(digest_size=16)
    try:
        for block in byte_blocks(file.path, ""):
            digest.update(block)
    except BadFile as error:
        if config.on_bad_file == "error":
            raise
        return str(error)
    return digest.hexdigest()


def _size(file: SourceFile) -> int:
    try:
        return os.path.getsize(file.path)
    except OSError:
        return 0
