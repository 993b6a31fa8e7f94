"""Train a model, or go on with a training that was interrupted.

python -m trainers.train --config=gpt_small --corpus=my_texts/ --run_dir=runs/gpt
python -m trainers.train --config=gpt_small --config.train.learning_rate=3e-4 --run_dir=runs/slow
"""

import dataclasses
import os

from absl import flags
from ml_collections import config_flags

from tflm import program
from tflm.errors import UserError
from trainers import recipes

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Recipe: a file or an installed one's name. --config.train.steps=100 sets a field.",
)
_CORPUS = flags.DEFINE_string(
    "corpus", None, "A file, a folder or a named corpus; short for --config.data.corpus."
)
_ENCODING = flags.DEFINE_string("encoding", None, "Of the text; short for --config.data.encoding.")
_ON_BAD_FILE = flags.DEFINE_enum(
    "on_bad_file", None, ["error", "skip"], "Short for --config.data.on_bad_file."
)
_PRECISION = flags.DEFINE_string(
    "precision", None, "auto, float32, mixed_bfloat16 or mixed_float16; --config.train.precision."
)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of the run; made where it is missing.")


def experiment_from_flags():
    """The recipe with every flag applied."""
    if _CONFIG.value is None:
        raise UserError("--config is missing. Give a recipe, for example --config=gpt_small.")
    experiment = _CONFIG.value
    shortcuts = {
        "corpus": _CORPUS.value,
        "encoding": _ENCODING.value,
        "on_bad_file": _ON_BAD_FILE.value,
    }
    given = {name: value for name, value in shortcuts.items() if value is not None}
    experiment.data = dataclasses.replace(experiment.data, **given)
    for name in ("corpus", "validation_corpus", "test_corpus"):
        # The run is evaluated and exported from anywhere, so a path must lead there from anywhere.
        path = getattr(experiment.data, name)
        if path and os.path.exists(path):
            setattr(experiment.data, name, os.path.abspath(path))
    source = experiment.train.init_from
    if source and os.path.exists(source):
        experiment.train.init_from = os.path.abspath(source)
    if _PRECISION.value is not None:
        experiment.train.precision = _PRECISION.value
    return experiment


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
