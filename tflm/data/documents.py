"""How a text is cut into documents: by sections, by files or by lines, in a stream.

A text arrives as blocks of decoded characters, so that a file of any size, even a single line of a
gigabyte, is never whole in memory. Only a *document* is; `MAX_DOCUMENT_CHARACTERS` bounds it.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from tflm.errors import UserError

MAX_DOCUMENT_CHARACTERS = 32_000_000
MIN_SECTION_BYTES = 64


@dataclasses.dataclass
class Document:
    """One text with a beginning and an end; `source` is the file it came from."""

    text: str
    source: str


def sections(blocks: Iterable[str], section_bytes: int) -> Iterator[str]:
    """Sections of at most `section_bytes` UTF-8 bytes; joined, they are exactly the text.

    A cut falls in the second half of what is allowed: after the last empty line there, else after the
    last line end, else after the last space or tab, else between two characters (never inside CRLF).
    """
    pending = b""
    for block in blocks:
        pending += block.encode("utf-8")
        start = 0
        while len(pending) - start > section_bytes:
            end = _cut(pending, start, section_bytes)
            yield pending[start:end].decode("utf-8")
            start = end
        pending = pending[start:]
    if pending:
        yield pending.decode("utf-8")


def _cut(data: bytes, start: int, section_bytes: int) -> int:
    half, end = start + section_bytes // 2, start + section_bytes
    for separators in ((b"\n\n", b"\n\r\n"), (b"\n",), (b" ", b"\t")):
        found = [(data.rfind(separator, half, end), len(separator)) for separator in separators]
        place, length = max(found)
        if place >= 0:
            return place + length
    while data[end] & 0xC0 == 0x80:  # A continuation byte of UTF-8.
        end -= 1
    return end - 1 if data[end - 1 : end + 1] == b"\r\n" else end


def whole(blocks: Iterable[str], section_bytes: int) -> Iterator[str]:
    """The text as one document; nothing where the text is empty."""
    del section_bytes
    pieces, size = [], 0
    for block in blocks:
        pieces.append(block)
        size += len(block)
        _check_size(size, "a file")
    if size:
        yield "".join(pieces)


def lines(blocks: Iterable[str], section_bytes: int = 0) -> Iterator[str]:
    """The text's lines without their ends (LF or CRLF); empty lines are left out."""
    del section_bytes
    for line in raw_lines(blocks):
        line = line.removesuffix("\n").removesuffix("\r")
        if line:
            yield line


def raw_lines(blocks: Iterable[str]) -> Iterator[str]:
    """The text's lines with their ends. Only LF ends a line, as in files; not U+2028 and its kin."""
    pieces, size = [], 0
    for block in blocks:
        *complete, rest = block.split("\n")
        for line in complete:
            pieces.append(line)
            yield "".join(pieces) + "\n"
            pieces, size = [], 0
        pieces.append(rest)
        size += len(rest)
        _check_size(size, "a line")
    last = "".join(pieces)
    if last:
        yield last


def _check_size(size: int, what: str):
    if size > MAX_DOCUMENT_CHARACTERS:
        raise UserError(
            f"A document must not exceed {MAX_DOCUMENT_CHARACTERS:,} characters, but {what} does. "
            "Cut plain text with --config.data.documents=section, and split long records."
        )


CUTS = {"section": sections, "file": whole, "line": lines}
