"""The label set of a training corpus, found while it is read: numbered as labels come, then anew in sorted order."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from tflm.data.corpora import SPLITS
from tflm.data.readers import BadFile

_BLOCK = 1 << 20


class LabelNumbers:
    """
    Args:
        complete: what the whole set is, given the labels of the training corpus; they themselves by default.

    Attributes:
        ids: label -> number, in the order in which they came.
    """

    def __init__(self, complete: Callable[[Iterable[str]], set[str]] = set):
        self._complete = complete
        self.ids: dict[str, int] = {}

    def of_training(self, labels: Sequence[str]) -> np.ndarray:
        """(n,) int32; a new label gets the next number."""
        ids = (self.ids.setdefault(label, len(self.ids)) for label in labels)
        return np.fromiter(ids, np.int32, len(labels))

    def close(self) -> None:
        """The training corpus has been read: the set is whole."""
        self.of_training(sorted(self._complete(self.ids)))

    def sort(self, folder: Path) -> None:
        """Numbers the labels anew in <split>.labels.bin, where -1 stays; block by block, so that memory stays flat."""
        rank = {label: i for i, label in enumerate(sorted(self.ids))}
        ranks = np.array([*(rank[label] for label in self.ids), -1], np.int32)  # [-1] is -1
        for name in SPLITS:
            file = folder / f"{name}.labels.bin"
            if file.stat().st_size:
                labels = np.memmap(file, np.int32, "r+")
                for first in range(0, len(labels), _BLOCK):
                    labels[first : first + _BLOCK] = ranks[labels[first : first + _BLOCK]]
                labels.flush()


def known_ids(path, lines: Sequence[int], labels: Sequence[str], ids: dict) -> np.ndarray:
    """The numbers of labels that the training text has: (n,) int32.

    Args:
        path, lines: where each label was read.

    Raises:
        BadFile: for another label.
    """
    for line, label in zip(lines, labels, strict=True):
        if label not in ids:
            known = ", ".join(sorted(ids))
            raise BadFile(
                f"{path}, line {line}: the label {label!r} is none of the training text's. They are: {known:.200}."
            )
    return np.array([ids[label] for label in labels], np.int32)
