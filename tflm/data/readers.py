"""From a file on disk to its texts: decompression, strict decoding, formats.

A text file holds one text, a table or JSONL file holds one a record; each is an iterator of blocks of
decoded characters (documents.py cuts them). Whatever is wrong with a file is a `BadFile`, which names
the file and the byte or the line.
"""

import bz2
import codecs
import csv
import gzip
import itertools
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tflm.data.documents import MAX_DOCUMENT_CHARACTERS, raw_lines
from tflm.errors import UserError

BLOCK_BYTES = 1 << 20
# zstd packs 128 KiB into as little as 4 bytes; small bites keep one step's output below 32 MiB.
_ZSTD_BITE = 1024
_SIGNATURES = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive (or a .docx, .xlsx, .epub)",
    b"\x1f\x8b": "gzip data without .gz in its name",
    b"\xfd7zXZ\x00": "xz data without .xz in its name",
    b"BZh": "bzip2 data without .bz2 in its name",
    b"\x28\xb5\x2f\xfd": "zstd data without .zst in its name",
}


class BadFile(UserError):
    """A file that cannot be read as text; `--config.data.on_bad_file=skip` passes over it."""


def bad_file(path, problem: str) -> BadFile:
    return BadFile(
        f"{path}: {problem}. Mend or remove the file, or pass over such files with "
        "--config.data.on_bad_file=skip."
    )


def wrong_line(path, number: int, wanted: str, line: str) -> BadFile:
    """The error for a line that is not what it should be."""
    shown = line if len(line) <= 60 else line[:59] + "…"
    return BadFile(f"{path}, line {number}: wanted {wanted}. Received: {shown!r}.")


def byte_blocks(
    path: Path, compression: str, on_read: Callable[[int], None] | None = None
) -> Iterator[bytes]:
    """The file's decompressed bytes; `on_read(n)` hears of n more bytes read from the disk.

    Args:
        path: the file.
        compression: "", ".gz", ".xz", ".bz2" or ".zst".
        on_read: for progress.

    Raises:
        BadFile: for a file that cannot be opened, or whose compressed data is damaged or cut off.
    """
    position = 0
    try:
        with open(path, "rb") as raw:
            for block in DECOMPRESSORS[compression](raw):
                if on_read is not None:
                    on_read(raw.tell() - position)
                    position = raw.tell()
                yield block
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise bad_file(path, f"damaged {compression} data ({error})") from error
    except OSError as error:
        raise bad_file(path, error.strerror or str(error)) from error


def _read_blocks(stream) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block


def _blocks_through(file_class, *args, **kwargs) -> Iterator[bytes]:
    with file_class(*args, **kwargs) as stream:
        yield from _read_blocks(stream)


def _zstd_blocks(raw) -> Iterator[bytes]:
    import zstandard

    # stream_reader() takes a file that was cut off for a complete one; this object knows the end.
    frame = zstandard.ZstdDecompressor().decompressobj()
    started = False
    while bite := raw.read(_ZSTD_BITE):
        while bite:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                block = frame.decompress(bite)
            except zstandard.ZstdError as error:
                raise zlib.error(str(error)) from error
            started = True
            if block:
                yield block
            bite = frame.unused_data if frame.eof else b""
    if started and not frame.eof:
        raise EOFError("the data ends early")


DECOMPRESSORS = {
    "": _read_blocks,
    ".gz": lambda raw: _blocks_through(gzip.GzipFile, fileobj=raw),
    ".xz": lambda raw: _blocks_through(lzma.LZMAFile, raw),
    ".bz2": lambda raw: _blocks_through(bz2.BZ2File, raw),
    ".zst": _zstd_blocks,
}


def text_blocks(path: Path, compression: str, encoding: str, on_read=None) -> Iterator[str]:
    """The file's characters, strictly decoded, as they are (no newline is translated).

    A byte order mark at the start of UTF-8 is not text and is dropped.

    Raises:
        BadFile: for binary data, and for bytes that are not `encoding`, with their offset.
    """
    codec = codecs.lookup(encoding)
    decoder = codec.incrementaldecoder("strict")
    offset, at_start = 0, True
    for block in itertools.chain(byte_blocks(path, compression, on_read), [b""]):
        if offset == 0:
            _refuse_binary(path, block, codec.name)
        waiting = len(decoder.getstate()[0])  # The bytes of a character that the last block began.
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            place, byte = offset - waiting + error.start, error.object[error.start]
            raise bad_file(
                path,
                f"byte {place} (0x{byte:02x}) is not {codec.name}: {error.reason}; if it is another "
                "encoding, name it with --config.data.encoding",
            ) from error
        offset += len(block)
        if text and at_start and codec.name == "utf-8":
            text = text.removeprefix("\ufeff")
        if text:
            yield text
            at_start = False


def _refuse_binary(path: Path, block: bytes, encoding: str):
    for signature, kind in _SIGNATURES.items():
        if block.startswith(signature) and (signature[0] > 126 or b"\x00" in block[:8192]):
            raise bad_file(path, f"binary file: {kind}")
    if encoding.startswith(("utf-16", "utf-32")) or b"\x00" not in block[:8192]:
        return
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise bad_file(path, "this looks like UTF-16; try --config.data.encoding=utf-16")
    place = block.index(b"\x00")
    raise bad_file(path, f"binary file: a NUL at byte {place}")


def _text_file(path, blocks, config) -> Iterator[Iterable[str]]:
    yield blocks


def _jsonl(path, blocks, config) -> Iterator[Iterable[str]]:
    for number, record in json_records(path, blocks):
        yield [json_text(path, number, record, config.text_field, "text_field")]


def json_records(path, blocks) -> Iterator[tuple[int, dict]]:
    """(line, record) of a JSONL file; blank lines are passed over."""
    for number, line in enumerate(raw_lines(blocks), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise bad_file(path, f"line {number} is not JSON ({error})") from error
        if not isinstance(record, dict):
            raise bad_file(path, f"line {number} is not a JSON object")
        yield number, record


def json_text(path, number: int, record: dict, field: str, option: str) -> str:
    """A string of a record; `option` is the field of DataConfig that names it."""
    if field not in record:
        known = ", ".join(record) or "none"
        raise bad_file(
            path,
            f"line {number} has no field {field!r} (its fields: {known}); "
            f"name one with --config.data.{option}",
        )
    text = record[field]
    if not isinstance(text, str):
        raise bad_file(path, f"line {number}: {field!r} is not a string")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise bad_file(path, f"line {number} holds half a surrogate pair") from error
    return text


def _tsv(path, blocks, config) -> Iterator[Iterable[str]]:
    return _column(path, tsv_rows(blocks), config)


def _csv(path, blocks, config) -> Iterator[Iterable[str]]:
    return _column(path, csv_rows(path, blocks), config)


def tsv_rows(blocks) -> Iterator[tuple[int, list[str]]]:
    """(line, fields); nothing is quoted."""
    for number, line in enumerate(raw_lines(blocks), 1):
        yield number, line.removesuffix("\n").removesuffix("\r").split("\t")


def csv_rows(path, blocks) -> Iterator[tuple[int, list[str]]]:
    """(the line where it ends, fields)."""
    # The module's own limit, a setting of the process, is 128 KiB: less than a long document.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_DOCUMENT_CHARACTERS))
    reader = csv.reader(raw_lines(blocks), strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise bad_file(path, f"line {reader.line_num} is not CSV ({error})") from error


def column_place(path, number: int, names: list[str], column: str, option: str) -> int:
    """Which column the first row, `names`, or a number from 0 means; `option` is the field of DataConfig that names it.

    Raises:
        BadFile: where there is none.
    """
    if column.isdecimal() and int(column) < len(names):
        return int(column)
    if column in names:
        return names.index(column)
    what = option.removesuffix("_column").replace("_", " ")
    raise BadFile(
        f"{path}, line {number}: no column {column!r} ({', '.join(names)[:200]}). Name the one that holds the {what} "
        f"with --config.data.{option}, or give its number from 0."
    )


def _column(path, numbered_rows, config) -> Iterator[Iterable[str]]:
    """The texts of one column: `text_column` is a number from 0, or a name in the first row."""
    column = config.text_column
    index = int(column) if column.removeprefix("-").isdecimal() else None
    for number, row in numbered_rows:
        if row in ([], [""]):
            continue
        if index is None:
            if column not in row:
                raise bad_file(
                    path,
                    f"no column {column!r} in the first row ({', '.join(row)[:200]}); "
                    "name one with --config.data.text_column, or give its number from 0",
                )
            index = row.index(column)
            continue
        if not -len(row) <= index < len(row):
            raise bad_file(path, f"line {number} has {len(row)} columns, no column {column!r}")
        yield [row[index]]


FORMATS = {".txt": _text_file, ".md": _text_file, ".jsonl": _jsonl, ".tsv": _tsv, ".csv": _csv}
