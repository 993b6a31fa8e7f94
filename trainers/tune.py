"""Search for better settings of a recipe: many trainings, each a run folder, by KerasTuner.

python -m trainers.tune --config=gpt_small --corpus=my_texts/ --tuner=bayesian --max_trials=20 --folder=runs/tune \\
    --search=train.learning_rate=log:1e-4..1e-2 --search=model.num_layers=2,4,6 --search=model.dropout=0..0.3
python -m trainers.tune --config=gpt_small --tuner=hyperband --folder=runs/hyperband \\
    --search=train.learning_rate=log:1e-4..1e-2

random tries settings at random, bayesian where a Gaussian process over the trials so far promises most, hyperband
leaves most trials early and goes on with the best. The same command goes on where it was interrupted; a larger
--max_trials goes on with a search that was finished. `tensorboard --logdir runs/tune` has it on its HParams page.
"""

from pathlib import Path

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import recipe_flags, recipes
from trainers.search import command

recipe_flags.define()
_SEARCH = flags.DEFINE_multi_string(
    "search",
    None,
    "FIELD=DOMAIN, again for another field: train.learning_rate=log:1e-4..1e-2, model.dropout=0..0.5, "
    "model.hidden_dim=64..256:64 (in steps), train.schedule=cosine,linear.",
)
_TUNER = flags.DEFINE_string("tuner", "random", "random, hyperband or bayesian.")
_MAX_TRIALS = flags.DEFINE_integer(
    "max_trials",
    None,
    "Trials in all; 10, but for hyperband, which has its own number and counts each time it goes on with one.",
    lower_bound=1,
)
_FOLDER = flags.DEFINE_string("folder", None, "Where the trials' run folders are made.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the choice of trials.", lower_bound=0)
_FACTOR = flags.DEFINE_integer(
    "factor", 3, "hyperband goes on with one in so many trials, for so many times the steps.", 2
)
_given: list[str] = []


def prepare(argv):
    """Checks the recipe's flags and keeps them, for the command that is printed in the end."""
    _given[:] = command.of_training(argv)
    return recipes.resolve_flags(argv)


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    experiment = recipe_flags.experiment_from_flags()
    if not _FOLDER.value:
        raise UserError("--folder is missing. Give one for the trials, for example runs/tune.")
    from trainers.search import space, tables
    from trainers.search.trials import Search
    from trainers.terminal import say

    dimensions = space.parse(_SEARCH.value or [], experiment)
    search = Search(
        experiment,
        dimensions,
        tuner=_TUNER.value,
        seed=_SEED.value,
        factor=_FACTOR.value,
        folder=Path(_FOLDER.value),
        say=say,
    )
    max_trials = _MAX_TRIALS.value
    if max_trials is None and _TUNER.value != "hyperband":
        max_trials = 10
    result = search.run(max_trials)
    tables.show(tables.trial_table(result))
    for line in tables.failures(result):
        say(line)
    if result.signal is not None:
        say("The same command goes on from there.")
        return 128 + result.signal
    best = result.best
    if best is None:
        raise UserError(f"None of {len(result.trials)} trials could be trained. Search elsewhere.")
    say(
        f"The best one is {best.run_dir}, {result.score_name} {best.score:.4f}. To train it further:"
    )
    say(f"  {command.training_command(_given, best.values, best.run_dir)}")
    if best.steps >= experiment.train.steps:
        say("  with more steps, for example --config.train.steps=" + str(2 * best.steps))
    return 0


def run():
    program.run(main, prepare=prepare)


if __name__ == "__main__":
    run()
