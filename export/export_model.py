"""Exports a trained run and proves every file: the program `export_model`.

    python -m export.export_model --run_dir=runs/gpt --format=saved_model,tflite --quantize=none,dynamic_int8

Every artifact is opened by a fresh interpreter without this project and held against the trained model on held-out
text. What is past its threshold (export/thresholds.py) is removed again, and the program exits with 1.
"""

import os
from pathlib import Path

from absl import flags

from export import formats
from tflm import program
from tflm.errors import UserError

_RUN_DIR = flags.DEFINE_string("run_dir", None, "The run folder to export.")
_FORMAT = flags.DEFINE_list(
    "format", list(formats.FORMATS), f"Any of: {', '.join(formats.FORMATS)}."
)
_QUANTIZE = flags.DEFINE_list(
    "quantize",
    list(formats.QUANTIZATIONS),
    f"Any of: {', '.join(formats.QUANTIZATIONS)}. A format takes those that it has.",
)
_STEP = flags.DEFINE_integer("step", None, "The checkpoint to export; without it the best one.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where to write; without it RUN_DIR/export.")
_PREFILL_LENGTHS = flags.DEFINE_list(
    "prefill_lengths", None, "Tokens a .tflite reads at once; without it those of 16,64 that fit."
)
_CACHE_LENGTH = flags.DEFINE_integer(
    "cache_length", None, "Tokens a .tflite's cache holds; without it the model's context."
)


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Give the run folder as --run_dir.")
    if not _RUN_DIR.value:
        raise UserError("--run_dir is missing: give the run folder to export.")
    pairs = formats.chosen(_FORMAT.value, _QUANTIZE.value)
    prefill = None if _PREFILL_LENGTHS.value is None else _integers(_PREFILL_LENGTHS.value)
    run_dir = Path(_RUN_DIR.value)
    from tflm.run import RunFolder

    RunFolder(run_dir).read_experiment()  # a wrong folder is told at once, before TensorFlow starts
    output_dir = Path(_OUTPUT_DIR.value) if _OUTPUT_DIR.value else run_dir / "export"

    # A run trained by another backend is loaded by this one: only TensorFlow can write these formats.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # A GPU rounds otherwise (TF32) than the processor that the proof runs on.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from rich.console import Console

    from export import artifacts

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    with console.status("starting TensorFlow") as status:

        def say(text):
            status.update(text)
            if not console.is_terminal:
                console.print(text, highlight=False)

        exported = artifacts.export_run_folder(
            run_dir, output_dir, pairs, prefill, _CACHE_LENGTH.value, _STEP.value, say
        )
    console.print(table_of(exported, f"{run_dir.resolve().name}, exported to {output_dir}"))
    failed = [artifact for artifact in exported if artifact.failures]
    for artifact in failed:
        console.print(
            f"{artifact.path} was removed: {'; '.join(artifact.failures)}.",
            highlight=False,
            markup=False,
        )
    return 1 if failed else 0


def _integers(values: list[str]) -> tuple[int, ...]:
    try:
        return tuple(int(value) for value in values)
    except ValueError as error:
        raise UserError(
            f"--prefill_lengths must be whole numbers. Received: {','.join(values)}."
        ) from error


def table_of(exported, title: str):
    """The artifacts and the figures of their proofs."""
    from rich.table import Table

    columns = {
        "artifact": lambda a: a.path,
        "MB": lambda a: f"{a.bytes / 1e6:.2f}",
        "max\n|dlogit|": lambda a: _number(a, "max_logit_difference", ".1e"),
        "same\ntoken": lambda a: _number(a, _agreement(a), ".3f"),
        "change in\nbits/byte": lambda a: _number(a, "bits_per_byte_change", "+.5f"),
        "load\nms": lambda a: _number(a, "load_ms", ".0f"),
        "prefill\ntokens/s": lambda a: _number(a, "prefill_tokens_per_second", ",.0f"),
        "decode\ntokens/s": lambda a: _number(a, "decode_tokens_per_second", ",.0f"),
        "peak\nMB": lambda a: _number(a, "peak_memory_mb", ".0f"),
        "": lambda a: "removed" if a.failures else "proved",
    }
    table = Table(title=title, title_justify="left")
    for name in columns:
        is_text = name in ("artifact", "")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
    for artifact in exported:
        table.add_row(*(cell(artifact) for cell in columns.values()))
    return table


def _agreement(artifact) -> str:
    """Word vectors choose no token: their nearest words stand in the same column."""
    return "token_agreement" if "token_agreement" in artifact.figures else "neighbour_agreement"


def _number(artifact, name: str, form: str) -> str:
    value = artifact.figures.get(name)
    return "-" if value is None else format(value, form)


def run():
    program.run(main)


if __name__ == "__main__":
    run()
