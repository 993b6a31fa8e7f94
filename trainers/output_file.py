"""Files that a program writes for its user: refused before the work where they cannot be, then written whole."""

from pathlib import Path

from tflm.errors import UserError


def check(path, flag: str) -> None:
    """Raises UserError where the file cannot be made; called before anything takes time.

    Args:
        path: the file to be.
        flag: which named it.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{flag}={path} is a folder. Give a file.")
    if not path.absolute().parent.is_dir():
        raise UserError(f"{flag}={path}: there is no folder {path.parent}. Make it first.")


def write(path, text: str, flag: str) -> None:
    """Writes UTF-8; the file is there whole or not at all.

    Raises:
        UserError: where it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}. Give another {flag}."
        ) from error
