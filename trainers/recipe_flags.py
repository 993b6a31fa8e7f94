"""The flags that name a recipe, and short ones for its fields: the same for every program that begins with one."""

import dataclasses

from absl import flags
from ml_collections import config_flags

from tflm.errors import UserError

flags.disclaim_key_flags()  # --help shows them as those of the program


def define() -> None:
    """Defines them; called by the program's own file."""
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Recipe: a file or an installed one's name. --config.train.steps=100 sets a field.",
    )
    flags.DEFINE_string(
        "corpus",
        None,
        "A file, a folder, a named corpus, or two parallel files with a comma; short for --config.data.corpus.",
    )
    flags.DEFINE_string("encoding", None, "Of the text; short for --config.data.encoding.")
    flags.DEFINE_enum(
        "on_bad_file", None, ["error", "skip"], "Short for --config.data.on_bad_file."
    )
    flags.DEFINE_string(
        "precision",
        None,
        "auto, float32, mixed_bfloat16 or mixed_float16; --config.train.precision.",
    )


def experiment_from_flags():
    """The recipe with every flag applied.

    Raises:
        UserError: without --config.
    """
    from tflm.data.parallel_corpora import absolute

    chosen = flags.FLAGS.config
    if chosen is None:
        raise UserError("--config is missing. Give a recipe, for example --config=gpt_small.")
    given = {name: flags.FLAGS[name].value for name in ("corpus", "encoding", "on_bad_file")}
    given = {name: value for name, value in given.items() if value is not None}
    chosen.data = dataclasses.replace(chosen.data, **given)
    # The run is evaluated and exported from anywhere, so a path must lead there from anywhere.
    for holder, name in (
        (chosen.data, "corpus"),
        (chosen.data, "validation_corpus"),
        (chosen.data, "test_corpus"),
        (chosen.data, "synthetic_corpus"),
        (chosen.tokenizer, "load_from"),
        (getattr(chosen.objective, "source_tokenizer", None), "load_from"),
        (chosen.train, "init_from"),
    ):
        if path := getattr(holder, name, None):
            setattr(holder, name, absolute(path))
    if flags.FLAGS.precision is not None:
        chosen.train.precision = flags.FLAGS.precision
    return chosen
