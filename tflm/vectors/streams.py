"""Files of vectors as streams of bytes: unpacked while they are read, and written whole or not at all."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import zlib
from pathlib import Path

import numpy as np

from tflm.errors import UserError

_BLOCK_BYTES = 1 << 20
_REPORT_BYTES = 1 << 24
_GROWTH_BYTES = 1 << 24
_UNPACKERS = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_PACKERS = {
    # No name and no time, so that equal vectors give equal files.
    ".gz": lambda raw: gzip.GzipFile("", "wb", fileobj=raw, mtime=0),
    ".bz2": lambda raw: bz2.BZ2File(raw, "wb"),
    ".xz": lambda raw: lzma.LZMAFile(raw, "wb"),  # noqa: SIM115
}
_FOREIGN = {b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "zstd data"}


class Source:
    """A file that is read from front to back; one packed by gzip, bzip2 or xz is unpacked, whatever its name.

    Args:
        path: the file.
        progress: called as progress("read vectors", done, total) with bytes of the file.

    Raises:
        UserError: for a file that cannot be opened or that something else packed; when reading, for damaged data.
    """

    def __init__(self, path, progress=None):
        self.path = Path(path)
        self.position = 0  # unpacked bytes
        self.progress = progress
        self._next_report = _REPORT_BYTES
        try:
            self._raw = open(self.path, "rb", buffering=_BLOCK_BYTES)  # noqa: SIM115
            status = os.fstat(self._raw.fileno())
            self._file_size = status.st_size
            magic = self._raw.peek(6)[:6]
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror or error})") from error
        if not stat.S_ISREG(status.st_mode):
            self._raw.close()
            raise self.error("this is no file; write what comes from there into one and give that")
        for signature, kind in _FOREIGN.items():
            if magic.startswith(signature):
                self._raw.close()
                raise self.error(f"this is {kind}; unpack it and give the file that was in it")
        unpack = next((_UNPACKERS[m] for m in _UNPACKERS if magic.startswith(m)), None)
        self._is_packed = unpack is not None
        self._stream = self._raw
        if unpack is not None:
            self._stream = io.BufferedReader(unpack(self._raw), _BLOCK_BYTES)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stream.close()
        self._raw.close()

    def error(self, problem: str) -> UserError:
        return UserError(f"{self.path}: {problem}.")

    @property
    def left(self) -> int | None:
        """Bytes that are still to come; None where the file is packed, which tells nothing of what is in it."""
        return None if self._is_packed else max(self._file_size - self.position, 0)

    def line(self, limit: int) -> bytes:
        """The next line with its end; at most `limit` bytes of it."""
        return self._advance(lambda: self._stream.readline(limit))

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end of the file."""
        return self._advance(lambda: self._stream.read(size))

    def exactly(self, size: int, what: str) -> bytes:
        """`size` bytes; UserError where the file ends before."""
        data = self.read(size)
        if len(data) < size:
            raise self.ends_early(what)
        return data

    def ends_early(self, what: str) -> UserError:
        return self.error(
            f"the file ends early, at byte {self.position}, within {what}; get it once more"
        )

    def matrix(self, rows: int, dim: int, what: str) -> np.ndarray:
        """The next rows * dim float32: (rows, dim). No more memory is taken than the file fills."""
        size = 4 * rows * dim
        if self.left is not None and size > self.left:
            raise self.error(
                f"the file ends early: {what} needs {size} bytes from byte {self.position} on, "
                f"and there are {self.left}; get it once more"
            )
        # What is packed may be a small file that unpacks to nothing like what its header says.
        data = np.empty(size if self.left is not None else min(size, _GROWTH_BYTES), np.uint8)
        filled = 0
        while filled < size:
            if filled == len(data):
                data.resize(min(2 * len(data), size), refcheck=False)
            part = memoryview(data)[filled : filled + _GROWTH_BYTES]
            read = self._advance(lambda part=part: self._stream.readinto(part))
            part.release()
            if not read:
                raise self.ends_early(what)
            filled += read
        return data.view("<f4").reshape(rows, dim)

    def back(self, size: int) -> None:
        """Goes `size` bytes back. A packed file may be unpacked once more from its start for that."""
        self._stream.seek(-size, io.SEEK_CUR)
        self.position -= size

    def skip(self, size: int, what: str) -> None:
        while size:
            data = self.exactly(min(size, _BLOCK_BYTES), what)
            size -= len(data)

    def finish(self) -> None:
        if self.progress is not None:
            self.progress("read vectors", self._file_size, self._file_size)

    def _advance(self, step):
        try:
            result = step()
        except (EOFError, lzma.LZMAError, zlib.error) as error:
            raise self.error(f"damaged data ({error}); get the file once more") from error
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror or error})") from error
        self.position += result if isinstance(result, int) else len(result)
        if self.progress is not None and self.position >= self._next_report:
            self._next_report = self.position + _REPORT_BYTES
            self.progress("read vectors", self._raw.tell(), self._file_size)
        return result


@contextlib.contextmanager
def written(path):
    """A stream of bytes into a file that has its name only when all is in it; packed as .gz, .bz2 or .xz says.

    Raises:
        UserError: where the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    pack = _PACKERS.get(path.suffix.lower())
    try:
        try:
            with open(partial, "wb", buffering=_BLOCK_BYTES) as raw:
                if pack is None:
                    yield raw
                else:
                    with io.BufferedWriter(pack(raw), _BLOCK_BYTES) as stream:
                        yield stream
                raw.flush()
                os.fsync(raw.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}).") from error
