"""A folder of the cache that is made once: it appears whole, by one rename, or not at all.

<cache>/ROOM/NAME/            whole
<cache>/ROOM/NAME.building/   under way, or what a killed process left behind
<cache>/ROOM/NAME.lock        held while building; the system frees it when a process dies
"""

import contextlib
import os
import shutil
from pathlib import Path

import filelock

from tflm.errors import UserError


def build_once(folder: Path, read, write, progress=None):
    """What `read` finds in `folder`, which `write` fills where it is missing or damaged.

    Args:
        folder: its name must tell everything that decides what is in it.
        read: folder -> anything but None; None where something is missing.
        write: fills an empty folder and flushes its files to the disk; where it raises, nothing is left.
        progress: called as progress(description, done, total) where another process has to be waited for.

    Raises:
        OSError: where the cache cannot be written.
        UserError: where what was written cannot be read.
    """
    if (found := read(folder)) is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder, progress):
        if (found := read(folder)) is None:  # Another process may have built it.
            _sweep(folder.parent, but=folder)
            _build(folder, write)
            found = read(folder)
    if found is None:
        raise UserError(f"{folder} was changed while it was built. Run the same command again.")
    return found


def _build(folder: Path, write):
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        write(building)
        _sync_folder(building)
        if folder.exists():  # Found damaged.
            shutil.rmtree(folder)
        os.rename(building, folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, progress):
    lock = filelock.FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if progress is not None:
            progress("wait for another process that builds this store", 0, None)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _sweep(room: Path, but: Path):
    """Removes what killed builds of other folders than `but` left behind."""
    for building in room.glob("*.building"):
        folder = building.with_suffix("")
        if folder == but:
            continue  # Its lock is ours.
        lock = filelock.FileLock(f"{folder}.lock")
        with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
            shutil.rmtree(building, ignore_errors=True)


def _sync_folder(folder: Path):
    if os.name == "nt":  # Windows cannot open a folder.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
