"""<run_dir>/comparison.json: what was computed of a checkpoint, so that comparing the run again takes no time."""

import contextlib
import json
import os
from pathlib import Path

FILE_NAME = "comparison.json"


class ResultCache:
    """Results of one checkpoint by their keys.

    Args:
        run_dir: the run folder. Where it cannot be written, nothing is kept, and nothing is said.
        checkpoint: tells one checkpoint from another; results of an earlier one are dropped.
    """

    def __init__(self, run_dir, checkpoint: str):
        self._file = Path(run_dir) / FILE_NAME
        self._checkpoint = checkpoint
        self._results = self._read()

    def _read(self) -> dict:
        try:
            values = json.loads(self._file.read_text(encoding="utf-8"))
            if values["checkpoint"] == self._checkpoint:
                return dict(values["results"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none yet, or damaged: all of it can be computed again
        return {}

    def has(self, key: dict) -> bool:
        """Whether there is a result under a key."""
        return _name(key) in self._results

    def get(self, key: dict):
        """The result that was put under a key.

        Args:
            key: everything the result depends on beside the checkpoint; JSON values.
        """
        return self._results[_name(key)]

    def put(self, key: dict, result) -> None:
        """Keeps a result, JSON values, under its key."""
        self._results[_name(key)] = result
        self._write()

    def _write(self) -> None:
        values = {"checkpoint": self._checkpoint, "results": self._results}
        partial = self._file.with_name(f".{FILE_NAME}.{os.getpid()}.partial")
        with contextlib.suppress(OSError):
            try:
                partial.write_text(
                    json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8"
                )
                os.replace(partial, self._file)
            finally:
                partial.unlink(missing_ok=True)


def _name(key: dict) -> str:
    return json.dumps(key, sort_keys=True, ensure_ascii=False)
