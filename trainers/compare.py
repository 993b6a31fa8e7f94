"""Compare runs: one table, the best first, and a page with curves, samples and more.

Runs that translate or summarise are compared by what they write: BLEU and chrF, or ROUGE.

python -m trainers.compare --runs=runs/word2vec,runs/lstm,runs/gpt --output=report.html
python -m trainers.compare --runs=runs/lstm,runs/gpt --split=test --prompts="The " --prompts="def "
python -m trainers.compare --runs=runs/translate_lstm,runs/translate_transformer --split=test --beam_size=5
"""

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import output_file

_RUNS = flags.DEFINE_list("runs", None, "Run folders, separated by commas.")
_OUTPUT = flags.DEFINE_string("output", "report.html", "The page to write; empty for none.")
_SPLIT = flags.DEFINE_enum(
    "split", "validation", ["validation", "test"], "The text the models are scored on, all of it."
)
_PROMPTS = flags.DEFINE_multi_string(
    "prompts",
    None,
    "A prompt for the samples; again for another. Default: the runs' own and held-out text.",
)
_SAMPLE_TOKENS = flags.DEFINE_integer(
    "sample_tokens", 60, "Tokens of each sample; 0 for none.", lower_bound=0
)
_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size", 4, "Hypotheses of the beam search of runs that translate; 1 is greedy.", 1
)
_LENGTH_PENALTY = flags.DEFINE_float(
    "length_penalty", 0.6, "Of that beam search; larger prefers longer texts.", lower_bound=0.0
)


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    run_dirs = [name.strip() for name in _RUNS.value or [] if name.strip()]
    if not run_dirs:
        raise UserError(
            "--runs is missing. Give run folders, for example --runs=runs/lstm,runs/gpt."
        )
    if _OUTPUT.value:
        output_file.check(_OUTPUT.value, "--output")
    if _translate(run_dirs):
        comparison = _compare_translations(run_dirs)
        from trainers.comparison import translation_table as tables
        from trainers.comparison.report import translation_page as pages
    else:
        comparison = _compare(run_dirs)
        from trainers.comparison import table as tables
        from trainers.comparison.report import page as pages
    from rich.console import Console

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width to keep to
        console = Console(width=160)
    console.print(tables.table_of(comparison, console.width))
    for note in tables.notes_of(comparison):
        console.print(note, markup=False, highlight=False)
    if _OUTPUT.value:
        output_file.write(_OUTPUT.value, pages.page(comparison), "--output")
        console.print(f"Wrote {_OUTPUT.value}.", markup=False, highlight=False)
    return 0


def _translate(run_dirs: list[str]) -> bool:
    """Whether the runs write a target for a source.

    Raises:
        UserError: where some do and others do not.
    """
    from tflm.run import RunFolder
    from tflm.run_kind import is_sequence_to_sequence

    first, *others = (is_sequence_to_sequence(RunFolder(d).read_experiment()) for d in run_dirs)
    for run_dir, other in zip(run_dirs[1:], others, strict=True):
        if other != first:
            translates, not_so = (run_dirs[0], run_dir) if first else (run_dir, run_dirs[0])
            raise UserError(
                f"{translates} writes a target for a source and {not_so} does not: they have no score in common. "
                "Compare runs of one kind."
            )
    return first


def _compare_translations(run_dirs: list[str]):
    program.load_backend()
    from tflm.generation.beam import BeamConfig
    from trainers.comparison.translations import compare_translations
    from trainers.evaluation.translation import LONGEST_TARGET
    from trainers.terminal import Progress, say

    search = BeamConfig(
        beam_size=_BEAM_SIZE.value,
        length_penalty=_LENGTH_PENALTY.value,
        max_length=LONGEST_TARGET,
    )
    tokenize = Progress("bytes")
    try:
        return compare_translations(run_dirs, _SPLIT.value, search, tokenize, say)
    finally:
        tokenize.close()


def _compare(run_dirs: list[str]):
    from trainers.comparison.ranking import compare
    from trainers.terminal import Progress, warn

    tokenize, evaluate = Progress("bytes"), Progress("batches")
    try:
        return compare(
            run_dirs,
            _SPLIT.value,
            _PROMPTS.value,
            _SAMPLE_TOKENS.value,
            tokenize=tokenize,
            evaluate=evaluate,
            say=warn,
        )
    finally:
        tokenize.close()
        evaluate.close()


def run():
    program.run(main)


if __name__ == "__main__":
    run()
