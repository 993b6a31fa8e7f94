"""Public corpora by name: fetched once, held against a checksum, kept in the cache."""

import contextlib
import dataclasses
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from tflm.errors import UserError

_SHAKESPEARE = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/"
    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/"
)
_WIKITEXT2 = (
    "https://raw.githubusercontent.com/pytorch/examples/"
    "77f55b912142e11fcfdf5b530231fb9c52f181e8/word_language_model/data/wikitext-2/"
)
_TIMEOUT_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class PublicFile:
    """A file on the web. `sha256` in hex; `size` in bytes."""

    url: str
    sha256: str
    size: int


# name -> split -> file. A corpus with a "validation" or "test" file comes with its own split.
NAMED = {
    "shakespeare": {
        "train": PublicFile(
            _SHAKESPEARE + "input.txt",
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            1_115_394,
        ),
    },
    "wikitext2": {
        "train": PublicFile(
            _WIKITEXT2 + "train.txt",
            "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
            10_797_148,
        ),
        "validation": PublicFile(
            _WIKITEXT2 + "valid.txt",
            "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
            1_121_681,
        ),
        "test": PublicFile(
            _WIKITEXT2 + "test.txt",
            "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
            1_256_449,
        ),
    },
}


def download(file: PublicFile, folder: Path, progress=None) -> Path:
    """The local copy of `file` in `folder`, fetched if it is not there.

    Raises:
        UserError: without a network, for a checksum that differs, or where `folder` is not writable.
    """
    path = folder / file.url.rsplit("/", 1)[1]
    if path.is_file() and path.stat().st_size == file.size:
        return path
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digest = _fetch(file, temporary, progress)
        if digest != file.sha256:
            raise UserError(
                f"{file.url} has changed: expected SHA-256 {file.sha256}. Received: {digest}. "
                "Nothing was kept."
            )
        os.replace(temporary, path)
    except urllib.error.URLError as error:
        raise UserError(
            f"Cannot download {file.url}: {error.reason}. Fetch it on a machine with a network and "
            "give the file with --config.data.corpus=PATH."
        ) from error
    except OSError as error:
        raise UserError(
            f"Cannot keep {file.url} in {folder}: {error.strerror or error}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return path


def _fetch(file: PublicFile, temporary: Path, progress) -> str:
    digest, done = hashlib.sha256(), 0
    with (
        urllib.request.urlopen(file.url, timeout=_TIMEOUT_SECONDS) as response,
        open(temporary, "wb") as output,
    ):
        while block := _read(response):
            digest.update(block)
            output.write(block)
            done += len(block)
            if progress is not None:
                progress(f"download {temporary.parent.name}", done, file.size)
        output.flush()
        os.fsync(output.fileno())
    return digest.hexdigest()


def _read(response) -> bytes:
    # A connection that breaks is the network's fault, not the cache folder's.
    try:
        return response.read(1 << 16)
    except (OSError, http.client.HTTPException) as error:
        raise urllib.error.URLError(error) from error
