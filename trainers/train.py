"""Train a model, or go on with a training that was interrupted.

python -m trainers.train --config=gpt_small --corpus=my_texts/ --run_dir=runs/gpt
python -m trainers.train --config=gpt_small --config.train.learning_rate=3e-4 --run_dir=runs/slow
"""

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import recipe_flags, recipes
from trainers.recipe_flags import experiment_from_flags

recipe_flags.define()
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run; made where it is missing.")


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    experiment = experiment_from_flags()
    if not _RUN_DIR.value:
        raise UserError("--run_dir is missing. Give a folder for the run, for example runs/gpt.")
    from trainers import fit

    result = fit.train(experiment, _RUN_DIR.value)
    # The shell's convention for a program that a signal ended.
    return 128 + result.signal if result.signal is not None else 0


def run():
    program.run(main, prepare=recipes.resolve_flags)


if __name__ == "__main__":
    run()
