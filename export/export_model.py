"""Exports a trained run and proves every file: the program `export_model`.

    python -m export.export_model --run_dir=runs/gpt --format=saved_model,tflite --quantize=none,dynamic_int8

Every artifact is opened by a fresh interpreter without this project and held against the trained model on held-out
text. What is past its threshold (export/thresholds.py) is removed again, and the program exits with 1.
"""

import os
from pathlib import Path

from absl import flags

from export import formats, lengths, run_kind, thresholds
from tflm import program
from tflm.errors import UserError
from tflm.run_kind import is_language_model

_RUN_DIR = flags.DEFINE_string("run_dir", None, "The run folder to export.")
_FORMAT = flags.DEFINE_list(
    "format",
    list(formats.MODEL_FORMATS),
    f"Any of: {', '.join(formats.FORMATS)}. The last four are files of word vectors.",
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
_SOURCE_LENGTH = flags.DEFINE_integer(
    "source_length",
    None,
    "Tokens of source that a .tflite with an encoder reads; without it the model's own limit, or 128.",
)
_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size", lengths.DEFAULT_BEAM_SIZE, "Of the search in a SavedModel that translates."
)
_LENGTH_PENALTY = flags.DEFINE_float(
    "length_penalty",
    lengths.DEFAULT_LENGTH_PENALTY,
    "Of that search: alpha of Wu et al. 2016, equation 14; 0 for none.",
)
_PROOF_PAIRS = flags.DEFINE_integer(
    "proof_pairs",
    thresholds.PROOF_PAIRS,
    "Held-out pairs that what translates is proved on; 0 for all.",
    lower_bound=0,
)
_SIMILARITY = flags.DEFINE_list(
    "similarity",
    [],
    "Files of word pairs and scores (WS-353, SimLex-999, ...): what exporting word vectors changes in Spearman's rank "
    "correlation is measured on them and judged.",
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

    # A wrong folder, and what does not suit the run, is told at once, before TensorFlow starts.
    experiment = RunFolder(run_dir).read_experiment()
    run_kind.check(experiment, run_dir)
    formats.check_suit(pairs, experiment)
    similarity = _read_similarity(_SIMILARITY.value, experiment)
    output_dir = Path(_OUTPUT_DIR.value) if _OUTPUT_DIR.value else run_dir / "export"

    # A run trained by another backend is loaded by this one: only TensorFlow can write these formats.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # A GPU rounds otherwise (TF32) than the processor that the proof runs on.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from rich.console import Console

    from export import artifacts

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    with console.status("starting TensorFlow") as status:

        def say(text):
            status.update(text)
            if not console.is_terminal:
                console.print(text, highlight=False)

        exported = artifacts.export_run_folder(
            run_dir,
            output_dir,
            pairs,
            prefill,
            _CACHE_LENGTH.value,
            _STEP.value,
            say,
            similarity,
            _PROOF_PAIRS.value,
            source=_SOURCE_LENGTH.value,
            beam_size=_BEAM_SIZE.value,
            length_penalty=_LENGTH_PENALTY.value,
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


def _read_similarity(paths: list[str], experiment: dict) -> dict:
    """Name -> pairs of every set."""
    if not paths:
        return {}
    if is_language_model(experiment):
        raise UserError(
            "--similarity measures runs that were trained for their word vectors "
            f"({', '.join(run_kind.WORD_VECTOR_OBJECTIVES)}). Received a language model; leave it out."
        )
    from export.similarity import names_of
    from tflm.data.word_sets import read_similarity

    return {name: read_similarity(path) for name, path in names_of(paths).items()}


def table_of(exported, title: str):
    """The artifacts and the figures of their proofs; a column without any figure is left out."""
    from rich.table import Table

    columns = [
        ("artifact", lambda a: a.path),
        ("MB", lambda a: f"{a.bytes / 1e6:.2f}"),
        ("max\n|dlogit|", lambda a: _number(a.figures, "max_logit_difference", ".1e")),
        ("same\ntoken", lambda a: _number(a.figures, "token_agreement", ".3f")),
        ("change in\nbits/byte", lambda a: _number(a.figures, "bits_per_byte_change", "+.5f")),
        *_quality_columns("bleu", "BLEU"),
        *_quality_columns("beam_bleu", "BLEU of\nthe beam"),
        *_quality_columns("rouge_l", "ROUGE-L"),
        *_quality_columns("beam_rouge_l", "ROUGE-L of\nthe beam"),
        ("least\ncosine", lambda a: _number(a.figures, "vector_cosine", ".5f")),
        ("same\nneighbours", lambda a: _number(a.figures, "neighbour_agreement", ".3f")),
        *_similarity_columns(exported),
        ("load\nms", lambda a: _number(a.figures, "load_ms", ".0f")),
        ("encode\ntokens/s", lambda a: _number(a.figures, "encode_tokens_per_second", ",.0f")),
        ("prefill\ntokens/s", lambda a: _number(a.figures, "prefill_tokens_per_second", ",.0f")),
        ("decode\ntokens/s", lambda a: _number(a.figures, "decode_tokens_per_second", ",.0f")),
        ("peak\nMB", lambda a: _number(a.figures, "peak_memory_mb", ".0f")),
        ("", lambda a: "removed" if a.failures else "proved"),
    ]
    table = Table(title=title, title_justify="left")
    shown = []
    for name, cell in columns:
        cells = [cell(artifact) for artifact in exported]
        if any(text != "-" for text in cells):
            is_text = name in ("artifact", "")
            table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
            shown.append(cells)
    for row in zip(*shown, strict=True):
        table.add_row(*row)
    return table


def _quality_columns(name: str, title: str) -> list:
    """A score of held-out pairs translated greedily, and how far it is from the run's."""
    return [
        (title, lambda a: _number(a.figures, name, ".2f")),
        ("its\nchange", lambda a: _number(a.figures, f"{name}_change", "+.2f")),
    ]


def _similarity_columns(exported) -> list:
    """Of every set Spearman's rank correlation over the pairs that are known, and how far it is from the run's."""
    columns, sets = [], {}
    for artifact in exported:
        sets |= artifact.figures.get("similarity", {})
    for name, score in sets.items():

        def of(artifact, name=name):
            return artifact.figures.get("similarity", {}).get(name, {})

        title = f"Spearman {name},\n{score['found']} of {score['pairs']}"
        columns.append((title, lambda a, of=of: _number(of(a), "spearman", ".4f")))
        columns.append(("its\nchange", lambda a, of=of: _number(of(a), "change", "+.4f")))
    return columns


def _number(figures: dict, name: str, form: str) -> str:
    value = figures.get(name)
    return "-" if value is None else format(value, form)


def run():
    program.run(main)


if __name__ == "__main__":
    run()
