"""Label the lines of a file by a trained classifier: one line out for each line in.

python -m trainers.classify --run_dir=runs/classifier --input_file=texts.txt
python -m trainers.classify --run_dir=runs/fasttext_classifier --input_file=texts.txt --top=3 --output=labels.tsv
echo "a good film" | python -m trainers.classify --run_dir=runs/fasttext_classifier --input_file=-
"""

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers.input_file import read_lines

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run; its best checkpoint is used.")
_INPUT_FILE = flags.DEFINE_string(
    "input_file", None, "A UTF-8 file with one text a line, without labels; - for stdin."
)
_TOP = flags.DEFINE_integer(
    "top", 1, "So many of the likeliest labels, each with its probability, tabs between them.", 1
)
_OUTPUT = flags.DEFINE_string("output", None, "A file to write to instead of the terminal.")


def probabilities(run, texts: list[str]):
    """(N, L) float64: of each label, for every text.

    Args:
        run: a tflm.run.Run that was trained with labels.
    """
    from tflm.data.labelled_store import unlabelled_split
    from trainers import experiment as experiments
    from trainers import objectives

    experiment = experiments.from_dict(run.experiment)
    objective = objectives.build(experiment.objective)
    if hasattr(objective, "read_tokenizers"):
        objective.read_tokenizers(run.tokenizer, run.tokenizer)
    return objective.probabilities(
        run.model, unlabelled_split(texts, run.tokenizer), experiment.train
    )


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    for flag, example in ((_RUN_DIR, "runs/fasttext_classifier"), (_INPUT_FILE, "texts.txt")):
        if not flag.value:
            raise UserError(f"--{flag.name} is missing. Give one, for example {example}.")
    texts = read_lines(_INPUT_FILE.value, "--input_file", "text")
    program.load_backend()
    from tflm import run as runs
    from tflm.run_kind import is_classifier
    from trainers import output_file
    from trainers.terminal import warn

    if _OUTPUT.value:
        output_file.check(_OUTPUT.value, "--output")
    run = runs.load(_RUN_DIR.value, say=warn)
    if not is_classifier(run.experiment):
        raise UserError(
            f"{_RUN_DIR.value} is no classifier but a run of {run.family}. Give one that was trained with labels."
        )
    labels = run.experiment["objective"]["labels"]
    shares = probabilities(run, texts)
    likeliest = (-shares).argsort(axis=1, kind="stable")[:, : _TOP.value]
    lines = [
        "\t".join(f"{labels[i]}\t{row[i]:.4f}" for i in best)
        for best, row in zip(likeliest, shares, strict=True)
    ]
    if _OUTPUT.value:
        output_file.write(_OUTPUT.value, "\n".join(lines) + "\n", "--output")
        print(f"Wrote {len(lines):,} lines to {_OUTPUT.value}.")
    else:
        print("\n".join(lines))
    return 0


def run():
    program.run(main)


if __name__ == "__main__":
    run()
