"""Build the token store of a training ahead, on one machine or in shards on several.

python -m trainers.build_store --config=gpt_small --corpus=my_texts/
python -m trainers.build_store --config=gpt_small --corpus=text/ --tokenizer=words --shards=shards --shard=0/2
python -m trainers.build_store --config=gpt_small --corpus=text/ --tokenizer=words --shards=shards --join
python -m trainers.build_store --config=gpt_small --corpus=text/ --tokenizer=words --shards=shards --runner=FlinkRunner
"""

import os
import re
from pathlib import Path

from absl import flags

from tflm import program
from tflm.errors import UserError
from trainers import recipe_flags, recipes

recipe_flags.define()
_TOKENIZER = flags.DEFINE_string(
    "tokenizer",
    None,
    "Folder of a run or of a tokenizer; where there is none yet, it is trained and kept there. "
    "Default: one is trained, as trainers.train does.",
)
_SHARDS = flags.DEFINE_string("shards", None, "Folder of the shards, which all machines share.")
_SHARD = flags.DEFINE_string("shard", None, "Build this one only: 0/4 to 3/4 on four machines.")
_JOIN = flags.DEFINE_bool("join", False, "Make the store of all shards.")
_RUNNER = flags.DEFINE_string(
    "runner", None, "Build the shards by Apache Beam on this runner, and join them."
)
_NUM_SHARDS = flags.DEFINE_integer("num_shards", 16, "With --runner.", lower_bound=1)
_RUNNER_OPTIONS = flags.DEFINE_multi_string(
    "runner_option", [], "For Beam, for example --runner_option=--direct_num_workers=2."
)


def main(argv):
    if len(argv) > 1:
        raise UserError(f"Unexpected argument {argv[1]!r}. Everything is a flag, see --help.")
    _check_flags()
    experiment = recipe_flags.experiment_from_flags()
    share = _share(_SHARD.value) if _SHARD.value is not None else None
    if _RUNNER.value is not None:
        _need_beam()
    from trainers import objectives
    from trainers.terminal import Progress

    if hasattr(experiment.objective, "complete"):
        experiment.objective.complete(experiment.model, experiment.train)
    objective = objectives.build(experiment.objective)
    if getattr(experiment.objective, "source_tokenizer", None) is not None:
        raise UserError(
            "A store of pairs with two tokenizers is built by trainers.train itself. "
            "Set objective.source_tokenizer to None, or leave this step out."
        )
    if _SHARDS.value and hasattr(objective, "open_store"):
        raise UserError("Only plain text is built in shards. Leave --shards away.")
    tokenizer = _tokenizer(experiment, objective)
    if hasattr(objective, "read_tokenizers"):
        objective.read_tokenizers(tokenizer, tokenizer)
    progress = Progress("bytes")
    try:
        if share is not None:
            _build_shard(experiment, tokenizer, share, progress)
        else:
            _show(_open_store(experiment, objective, tokenizer, progress))
    finally:
        progress.close()


def _check_flags():
    chosen = [name for name in ("shard", "join", "runner") if flags.FLAGS[name].value]
    if len(chosen) > 1:
        raise UserError(f"--{chosen[0]} and --{chosen[1]} exclude each other. Give one of them.")
    if not chosen and _SHARDS.value:
        raise UserError("--shards needs one of --shard=i/n, --join and --runner beside it.")
    for name in ("shards", "tokenizer"):
        if chosen and not flags.FLAGS[name].value:
            raise UserError(
                f"--{chosen[0]} needs --{name}: a folder that is the same for all machines."
            )


def _share(text: str):
    from tflm.data.encoded_text import Share

    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not int(match[1]) < int(match[2]):
        raise UserError(f"--shard must be i/n with i from 0 to n - 1. Received: {text!r}.")
    return Share(int(match[1]), int(match[2]))


def _need_beam():
    try:
        import apache_beam  # noqa: F401
    except ImportError as error:
        raise UserError(
            "--runner needs Apache Beam, which is not installed: pip install 'tflm[beam]'."
        ) from error


def _tokenizer(experiment, objective):
    from trainers import tokenizer_of

    if _TOKENIZER.value is None:
        return tokenizer_of.tokenizer_of(experiment, objective)
    path = Path(os.path.abspath(_TOKENIZER.value))
    folder = tokenizer_of.folder_at(path)
    if not folder.exists():
        tokenizer_of.keep(tokenizer_of.tokenizer_of(experiment, objective), folder)
    experiment.tokenizer.load_from = str(path)
    return tokenizer_of.tokenizer_of(experiment, objective)


def _build_shard(experiment, tokenizer, share, progress):
    from tflm.data.shards import build_shard
    from trainers.terminal import say

    missing = build_shard(_SHARDS.value, share, experiment.data, tokenizer, progress=progress)
    progress.close()
    listed = ", ".join(f"{index}/{count}" for index, count in missing[:10])
    more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
    rest = (
        f"Missing: {listed}{more}." if missing else "All shards are there: --join makes the store."
    )
    say(f"Shard {share.index}/{share.count} is in {_SHARDS.value}. {rest}")


def _open_store(experiment, objective, tokenizer, progress):
    from tflm.data import corpora
    from tflm.data.shards import join_shards_of
    from tflm.data.store import StoreText, build_store

    data = experiment.data
    if not _SHARDS.value:
        open_store = getattr(objective, "open_store", build_store)
        return open_store(data, tokenizer, progress=progress)
    cache = corpora.cache_folder()
    text, folder = StoreText(data, tokenizer, cache, progress), Path(os.path.abspath(_SHARDS.value))
    if _RUNNER.value is not None:
        from tflm.data.beam_shards import build_shards
        from trainers import tokenizer_of
        from trainers.terminal import say

        say(f"Building {_NUM_SHARDS.value} shards in {folder} by {_RUNNER.value}.")
        place = tokenizer_of.folder_at(experiment.tokenizer.load_from)
        build_shards(text, place, folder, _NUM_SHARDS.value, _RUNNER.value, _RUNNER_OPTIONS.value)
    return join_shards_of(text, folder, cache, progress)


def _show(store):
    from trainers.fit import describe
    from trainers.terminal import say

    for line in describe(store.card):
        say(line)
    load = f" --config.tokenizer.load_from={_TOKENIZER.value}" if _TOKENIZER.value else ""
    say(
        f"The store is in {store.folder}. trainers.train takes it with the same recipe and text{load}."
    )


def run():
    program.run(main, prepare=recipes.resolve_flags)


if __name__ == "__main__":
    run()
