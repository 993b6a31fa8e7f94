"""Texts that a program is given one a line, in a file or on stdin."""

import sys
from pathlib import Path

from tflm.errors import UserError


def read_lines(path: str, flag: str, what: str) -> list[str]:
    """The lines of `path`, or of stdin for "-", without their ends.

    Args:
        flag: which named it.
        what: that a line holds.

    Raises:
        UserError: for a file that cannot be read, is no UTF-8 or holds nothing.
    """
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).expanduser().read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"Cannot read {flag}={path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{flag}={path} is not UTF-8, first at byte {error.start}. Convert it to UTF-8."
        ) from error
    if not text.strip():
        raise UserError(f"{flag}={path} is empty. Give one {what} a line.")
    # Not splitlines(): a text may hold U+2028 and its like.
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
