"""What a program shows while it works: lines, and a bar where there is a terminal to draw it on."""

import sys
import time

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 15.0  # where the output goes to a file

_quiet = False


def be_quiet() -> None:
    """From now on this process shows nothing: another one says the same."""
    global _quiet
    _quiet = True


def say(text: str) -> None:
    """One line on stdout, above any bar."""
    if _quiet:
        return
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def warn(text: str) -> None:
    """One line on stderr."""
    if _quiet:
        return
    tqdm.write(f"warning: {text}", file=sys.stderr)


class Bar:
    """A progress bar on a terminal; now and then a line elsewhere.

    Args:
        description: what is being done.
        total: how many units; None where unknown.
        unit: the unit's name.
        initial: units done before.
    """

    def __init__(self, description: str, total: int | None, unit: str, initial: int = 0):
        self._description, self._total, self._unit = description, total, unit
        self._started, self._initial = time.monotonic(), initial
        self._last_line = self._started
        self._bar = None
        if sys.stderr.isatty() and not _quiet:
            self._bar = tqdm(
                total=total, desc=description, unit=f" {unit}", initial=initial, unit_scale=True
            )

    def update(self, done: int, note: str = "") -> None:
        """Sets how many units are done, and what is said beside the bar."""
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            of = f" of {self._total:,}" if self._total else ""
            parts = [f"{self._description}: {done:,}{of} {self._unit}", note, self._time_left(done)]
            say("  ".join(part for part in parts if part))

    def _time_left(self, done: int) -> str:
        if not self._total or done <= self._initial:
            return ""
        pace = (time.monotonic() - self._started) / (done - self._initial)
        return f"{tqdm.format_interval(pace * (self._total - done))} left"

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class Progress:
    """The callback that the library's long work takes: progress(description, done, total)."""

    def __init__(self, unit: str):
        self._unit = unit
        self._bar, self._description = None, None

    def __call__(self, description: str, done: int, total: int | None) -> None:
        if description != self._description:
            self.close()
            self._bar, self._description = Bar(description, total, self._unit), description
        self._bar.update(done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = self._description = None
