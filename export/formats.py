"""What a run can be exported to, by name.

Importing this module imports neither TensorFlow nor Keras.
"""

import dataclasses
import functools
import importlib

from export import run_kind
from tflm.errors import UserError, unknown_name

QUANTIZATIONS = ("none", "dynamic_int8")


@dataclasses.dataclass(frozen=True)
class Format:
    """
    Attributes:
        module: has `write(run, path, quantization, lengths)`.
        path: in the export folder; {precision} stands for float32 or the quantization's name.
        quantizations: those that it has.
        opened: the part of the path that a client opens; TensorFlow Serving wants a version number in between.
        is_vectors_file: one of `tflm.vectors`, for runs with word vectors alone; written where it is asked for by name.
    """

    module: str
    path: str
    quantizations: tuple[str, ...]
    opened: str = ""
    is_vectors_file: bool = False


def _vectors_file(path: str) -> Format:
    return Format("export.vectors_file", path, ("none",), is_vectors_file=True)


FORMATS = {
    "saved_model": Format("export.saved_model", "saved_model", ("none",), opened="1"),
    "tflite": Format("export.tflite", "model_{precision}.tflite", QUANTIZATIONS),
    # By the names of tflm.vectors.
    "word2vec_text": _vectors_file("vectors.word2vec.txt"),
    "word2vec_binary": _vectors_file("vectors.bin"),
    "glove": _vectors_file("vectors.glove.txt"),
    "fasttext_vec": _vectors_file("vectors.vec"),
}
MODEL_FORMATS = tuple(name for name, form in FORMATS.items() if not form.is_vectors_file)


def write_function(name: str):
    """The function that writes the format: (run, path, quantization, lengths)."""
    write = importlib.import_module(FORMATS[name].module).write
    return functools.partial(write, name) if FORMATS[name].is_vectors_file else write


def artifact_path(name: str, quantization: str) -> str:
    """Relative to the export folder."""
    precision = "float32" if quantization == "none" else quantization
    return FORMATS[name].path.format(precision=precision)


def chosen(formats: list[str], quantizations: list[str]) -> list[tuple[str, str]]:
    """The artifacts to write, as (format, quantization).

    Raises:
        UserError: for an unknown name, or a format or a quantization that would give nothing.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("--format", name, FORMATS)
    for name in quantizations:
        if name not in QUANTIZATIONS:
            raise unknown_name("--quantize", name, QUANTIZATIONS)
    if not formats or not quantizations:
        raise UserError("--format and --quantize must name at least one each.")
    pairs = [(f, q) for f in formats for q in quantizations if q in FORMATS[f].quantizations]
    for name in formats:
        if all(f != name for f, _ in pairs):
            raise UserError(
                f"{name} has no quantization {','.join(quantizations)!r}. "
                f"Choose from: {', '.join(FORMATS[name].quantizations)}."
            )
    return list(dict.fromkeys(pairs))


def check_suit(pairs: list[tuple[str, str]], experiment: dict) -> None:
    """Raises UserError for a format that a run has nothing for.

    Args:
        pairs: of `chosen`.
        experiment: as `tflm.run.RunFolder.read_experiment` gives it.
    """
    if run_kind.has_word_vectors(experiment):
        return
    for name, _ in pairs:
        if FORMATS[name].is_vectors_file:
            raise UserError(
                f"--format={name} is for word vectors ({', '.join(run_kind.WORD_VECTOR_FAMILIES)}). "
                f"Received a run of {experiment['model']['family']}; choose from: {', '.join(MODEL_FORMATS)}."
            )
