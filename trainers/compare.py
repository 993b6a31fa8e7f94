"""Compare runs: one table, the best first, and a page with curves, samples and more.

python -m trainers.compare --runs=runs/word2vec,runs/lstm,runs/gpt --output=report.html
python -m trainers.compare --runs=runs/lstm,runs/gpt --split=test --prompts="The " --prompts="def "
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
    comparison = _compare(run_dirs)
    from rich.console import Console

    from trainers.comparison.table import notes_of, table_of

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width to keep to
        console = Console(width=160)
    console.print(table_of(comparison, console.width))
    for note in notes_of(comparison):
        console.print(note, markup=False, highlight=False)
    if _OUTPUT.value:
        from trainers.comparison.report import page

        output_file.write(_OUTPUT.value, page.page(comparison), "--output")
        console.print(f"Wrote {_OUTPUT.value}.", markup=False, highlight=False)
    return 0


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
