"""The numbers of a run, in metrics.jsonl and on the TensorBoard page.

TensorBoard's own event writer is used, not TensorFlow's, so that a run under JAX has its page too.
"""

import json
import math
import struct
import time
from pathlib import Path

import numpy as np

from tflm.run import RunFolder


class Journal:
    """Appends to the files of one run.

    Args:
        folder: the run folder.
        start_step: what was written for later steps by a process that was killed is taken back.
    """

    def __init__(self, folder: RunFolder, start_step: int):
        self._file = folder.metrics_file
        self._tensorboard = folder.path / "tensorboard"
        self._start_step = start_step
        self._writers = {}
        self._take_back(start_step)

    def _take_back(self, step: int) -> None:
        if not self._file.exists():
            return
        lines = []
        for line in self._file.read_text(encoding="utf-8").split("\n"):
            try:
                if json.loads(line)["step"] <= step:
                    lines.append(line + "\n")
            except (ValueError, KeyError, TypeError):  # the line a killed process did not finish
                continue
        partial = self._file.with_suffix(".partial")
        partial.write_text("".join(lines), encoding="utf-8")
        partial.replace(self._file)

    def write(self, kind: str, step: int, values: dict) -> None:
        """One line of metrics.jsonl: kind is train, validation or sample. JSON has no infinity: it becomes null."""
        values = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
        with open(self._file, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}, ensure_ascii=True) + "\n")

    def scalars(self, side: str, step: int, values: dict[str, float]) -> None:
        """Scalars on the TensorBoard page; side is train or validation."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        with np.errstate(over="ignore"):  # the perplexity of a model that fails is infinite there
            for tag, value in values.items():
                self._add(side, step, scalar_pb(tag, np.float32(value)))

    def text(self, side: str, step: int, tag: str, text: str) -> None:
        from tensorboard.plugins.text.summary_v2 import text_pb

        # Markdown would swallow line breaks and indentation.
        self._add(side, step, text_pb(tag, "\n".join("    " + line for line in text.split("\n"))))

    def image(self, side: str, step: int, tag: str, png: bytes) -> None:
        from tensorboard.compat.proto import summary_pb2

        width, height = struct.unpack(">II", png[16:24])  # of the header
        image = summary_pb2.Summary.Image(
            encoded_image_string=png, colorspace=3, width=width, height=height
        )
        self._add(side, step, summary_pb2.Summary(value=[{"tag": tag, "image": image}]))

    def _add(self, side: str, step: int, summary) -> None:
        from tensorboard.compat.proto import event_pb2

        event = event_pb2.Event(step=step, wall_time=time.time(), summary=summary)
        self._writer(side).add_event(event)

    def _writer(self, side: str):
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if side not in self._writers:
            writer = EventFileWriter(str(self._tensorboard / side))
            # Tells TensorBoard to drop what an earlier process wrote for the steps to come. The first one is needed
            # too: TensorBoard takes it for the beginning and obeys from the second on.
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            event = event_pb2.Event(
                step=self._start_step + 1, wall_time=time.time(), session_log=start
            )
            writer.add_event(event)
            self._writers[side] = writer
        return self._writers[side]

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


class NoJournal:
    """The journal of a worker that is not the chief: it has the methods of one and writes nothing."""

    def write(self, kind: str, step: int, values: dict) -> None: ...

    def scalars(self, side: str, step: int, values: dict[str, float]) -> None: ...

    def text(self, side: str, step: int, tag: str, text: str) -> None: ...

    def image(self, side: str, step: int, tag: str, png: bytes) -> None: ...

    def close(self) -> None: ...


def write_projector(folder: RunFolder, vectors: np.ndarray, names: list[str]) -> None:
    """Files for TensorBoard's embedding projector.

    Args:
        vectors: (N, D). names: N, shown beside the points.
    """
    target = Path(folder.path / "tensorboard" / "train")  # the page looks where there are events
    target.mkdir(parents=True, exist_ok=True)
    np.savetxt(target / "embeddings.tsv", vectors, fmt="%.5g", delimiter="\t")
    clean = [
        name.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r") or " " for name in names
    ]
    (target / "tokens.tsv").write_text("\n".join(clean) + "\n", encoding="utf-8")
    (target / "projector_config.pbtxt").write_text(
        'embeddings {\n  tensor_name: "token_embedding"\n'
        '  tensor_path: "embeddings.tsv"\n  metadata_path: "tokens.tsv"\n}\n',
        encoding="utf-8",
    )
