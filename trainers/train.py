"""Train a model, or go on with a training that was interrupted.

python -m trainers.train --config=gpt_small --corpus=my_texts/ --run_dir=runs/gpt
python -m trainers.train --config=gpt_small --config.train.learning_rate=3e-4 --run_dir=runs/slow
python -m trainers.train --config=gpt_small --corpus=my_texts/ --dry_run
"""

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import recipe_flags, recipes
from trainers.recipe_flags import experiment_from_flags

recipe_flags.define()
_DISTRIBUTE = flags.DEFINE_enum(
    "distribute",
    None,
    ["mirrored", "multi_worker"],
    "Over the devices of this machine, or over the workers that TF_CONFIG names; see docs/distribution.md.",
)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run; made where it is missing.")
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Only measure what the training will take, and what it can be exported to."
)
_PROFILE_STEPS = flags.DEFINE_list(
    "profile_steps", [], "FIRST,LAST: steps to record for TensorBoard's profile page."
)


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    experiment = experiment_from_flags()
    if _DRY_RUN.value:
        from trainers.dry_run import dry_run

        dry_run(experiment)
        return 0
    if not _RUN_DIR.value:
        raise UserError("--run_dir is missing. Give a folder for the run, for example runs/gpt.")
    from trainers import fit, profiler

    profile_steps = profiler.steps_to_profile(_PROFILE_STEPS.value)
    result = fit.train(experiment, _RUN_DIR.value, profile_steps, distribute=_DISTRIBUTE.value)
    # The shell's convention for a program that a signal ended.
    return 128 + result.signal if result.signal is not None else 0


def run():
    program.run(main, prepare=recipes.resolve_flags)


if __name__ == "__main__":
    run()
