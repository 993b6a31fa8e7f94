"""A file through a Translator: one line out for each line in, however often it is interrupted.

What is done is written beside the output, chunk by chunk, and renamed at the end:

    .OUTPUT.partial        the lines so far
    .OUTPUT.progress.json  how many there are, and what they were made of

The same command goes on after the last whole chunk; another one begins anew. Chunks are what a Translator sorts into
batches, so that the lines are the same with and without an interruption.
"""

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

from tflm.durable_files import checksum, flush, write_atomically
from tflm.errors import UserError

CHUNK_LINES = 2048


@dataclasses.dataclass
class Translated:
    """
    Attributes:
        num_resumed: lines that an earlier process had done.
        num_truncated: lines that were longer than the model's limit, and were cut.
    """

    num_lines: int
    num_resumed: int
    num_truncated: int


def lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, one by one, without their ends.

    Raises:
        UserError: where it cannot be read, with the line that is no UTF-8.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise UserError(
                        f"Line {number} of {path} is not UTF-8, first at its byte {error.start}. Convert the file."
                    ) from error
                yield text.removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise UserError(f"Cannot read --input_file={path}: {error.strerror}.") from error


def translate_file(
    translator,
    search,
    source: Path,
    output: Path,
    identity: dict,
    with_scores: bool = False,
    chunk_lines: int = CHUNK_LINES,
    progress=None,
) -> Translated:
    """Writes `output`; each line of `source` is one text.

    Args:
        translator: a tflm.generation.translate.Translator.
        search: BeamConfig or DrawConfig.
        identity: JSON values that decide what the translator says.
        with_scores: write all candidates, as `number of the line, score, text` with tabs between them.
        chunk_lines: so many lines are done at once; a process that is killed loses as many.
        progress: called as progress(lines done, lines in all).

    Raises:
        UserError: for a source that cannot be read, a line that is too long, an output that cannot be written.
    """
    if output.exists() and source.exists() and output.samefile(source):
        raise UserError(f"--output_file={output} is the input file. Give another one.")
    # All lines are looked at first: better to hear of line 90,000 now than in an hour.
    num_lines = num_truncated = 0
    for first, texts in _chunks(source, chunk_lines):
        num_truncated += _in_file(source, translator.encode, texts, search, first)[1]
        num_lines += len(texts)
    made_of = {
        "input": checksum(source),
        "search": dataclasses.asdict(search),
        "with_scores": with_scores,
        "chunk_lines": chunk_lines,
        **identity,
    }
    work = _Work(output, made_of)
    with work.open() as file:
        resumed = work.num_lines
        for first, texts in _chunks(source, chunk_lines):
            if first <= resumed:
                continue

            def show(_, done, total, first=first):
                if progress is not None:
                    progress(first - 1 + done, num_lines)

            found = translator.candidates(texts, search, first, show)
            written = "".join(
                _written(number, c, with_scores) for number, c in enumerate(found, first)
            )
            work.keep(file, written, first - 1 + len(texts))
    work.finish()
    return Translated(num_lines, resumed, num_truncated)


def _chunks(path: Path, size: int) -> Iterator[tuple[int, list[str]]]:
    """The number of the first line, from 1, and the lines."""
    numbered = enumerate(lines(path), 1)
    while chunk := list(itertools.islice(numbered, size)):
        yield chunk[0][0], [text for _, text in chunk]


def _in_file(path: Path, function, *arguments):
    try:
        return function(*arguments)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _written(number: int, candidates, with_scores: bool) -> str:
    if not with_scores:
        return _in_one_line(candidates[0].text) + "\n"
    return "".join(
        f"{number}\t{c.score:.6f}\t{_in_one_line(c.text).replace(chr(9), ' ')}\n"
        for c in candidates
    )


def _in_one_line(text: str) -> str:
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


class _Work:
    """What is done of an output.

    Args:
        output: the file to be.
        made_of: JSON values; work that was begun with others is not gone on with.
    """

    def __init__(self, output: Path, made_of: dict):
        self._output, self._made_of = output, json.loads(json.dumps(made_of))
        self._partial = output.with_name(f".{output.name}.partial")
        self._progress = output.with_name(f".{output.name}.progress.json")
        self.num_lines = 0

    def open(self):
        """The file of what is done, cut where the last whole chunk ends."""
        size = 0
        try:
            known = json.loads(self._progress.read_text(encoding="utf-8"))
            if known["made_of"] == self._made_of and self._partial.stat().st_size >= known["bytes"]:
                self.num_lines, size = known["lines"], known["bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing was begun, or nothing that can be gone on with
        try:
            file = open(self._partial, "r+b" if size else "wb")  # noqa: SIM115
            file.truncate(size)
            file.seek(size)
        except OSError as error:
            raise self._unwritable(error) from error
        return file

    def keep(self, file, text: str, num_lines: int) -> None:
        """Appends to what is done, and says so when it is on the disk."""
        try:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
            known = {"lines": num_lines, "bytes": file.tell(), "made_of": self._made_of}
            write_atomically(self._progress, json.dumps(known))
        except OSError as error:
            raise self._unwritable(error) from error
        self.num_lines = num_lines

    def finish(self) -> None:
        try:
            os.replace(self._partial, self._output)
            flush(self._output.absolute().parent)
        except OSError as error:
            raise self._unwritable(error) from error
        self._progress.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"Cannot write {self._output}: {error.strerror or error}. What is done is kept; give another "
            "--output_file, or make room and start the same command again."
        )
