"""K-fold cross-validation of a recipe: the mean and the deviation of its score, each document held back once.

python -m trainers.cross_validate --config=gpt_small --corpus=my_texts/ --folds=5 --folder=runs/folds
python -m trainers.cross_validate --config=fasttext_classifier --corpus=labelled.tsv --folds=10 --folder=runs/folds

Every fold is a run folder. The same command goes on where it was interrupted.
"""

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import recipe_flags, recipes

recipe_flags.define()
_FOLDS = flags.DEFINE_integer("folds", 5, "K: as many trainings.", lower_bound=2)
_FOLDER = flags.DEFINE_string("folder", None, "Where the runs fold_1 to fold_K are made.")


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    experiment = recipe_flags.experiment_from_flags()
    if not _FOLDER.value:
        raise UserError("--folder is missing. Give one for the runs, for example runs/folds.")
    from trainers.search.folds import cross_validate
    from trainers.search.tables import fold_lines, fold_table, show
    from trainers.terminal import say

    result = cross_validate(experiment, _FOLDS.value, _FOLDER.value, say)
    if result.signal is not None:
        say("The same command goes on from there.")
        return 128 + result.signal
    show(fold_table(result))
    for line in fold_lines(result, experiment.train.eval_tokens):
        say(line)
    return 0


def run():
    program.run(main, prepare=recipes.resolve_flags)


if __name__ == "__main__":
    run()
