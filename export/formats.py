"""What a run can be exported to, by name.

Importing this module imports neither TensorFlow nor Keras.
"""

import dataclasses
import importlib

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
    """

    module: str
    path: str
    quantizations: tuple[str, ...]
    opened: str = ""


FORMATS = {
    "saved_model": Format("export.saved_model", "saved_model", ("none",), opened="1"),
    "tflite": Format("export.tflite", "model_{precision}.tflite", QUANTIZATIONS),
}


def write_function(name: str):
    """The function that writes the format."""
    return importlib.import_module(FORMATS[name].module).write


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
