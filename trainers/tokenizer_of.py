"""The tokenizer of an experiment: trained on its text, or taken from a folder; and kept whole."""

import functools
import os
import shutil
import socket
from pathlib import Path

from tflm.data import workers
from tflm.data.training_texts import training_texts
from tflm.durable_files import flush
from tflm.run import RunFolder
from tflm.text import tokenizer as tokenizers
from trainers.terminal import Progress, say, warn


def tokenizer_of(experiment, objective, of_source: bool = False):
    """A tokenizer by `experiment.tokenizer`.

    Args:
        objective: its `training_texts`, where it has them, says what the text is.
        of_source: for the source alone, by `experiment.objective.source_tokenizer`.

    Raises:
        UserError: for a folder without a tokenizer, a text that cannot be read, settings that cannot be.
    """
    config = experiment.objective.source_tokenizer if of_source else experiment.tokenizer
    side = "source tokenizer" if of_source else "tokenizer"
    if config.load_from is not None:
        say(f"Taking the {side} in {config.load_from}.")
        return tokenizers.load(folder_at(config.load_from, of_source))
    say(f"Training the {side}: {config.kind}, up to {config.vocabulary_size:,} tokens.")
    reading = Progress("bytes")
    read = getattr(objective, "training_texts", training_texts)
    if of_source:
        read = functools.partial(read, of_source=True)
    texts = read(experiment.data, config.sample_bytes, experiment.train.seed, progress=reading)
    map_batches = functools.partial(workers.map_batches, num_workers=experiment.data.workers)
    tokenizer = tokenizers.train(config, texts, map_batches, say=warn)
    reading.close()
    return tokenizer


def folder_at(path, of_source: bool = False) -> Path:
    """The folder of the tokenizer: that of a run, where `path` is a run folder, else `path` itself."""
    folder = RunFolder(path)
    if of_source and folder.source_tokenizer_folder.is_dir():
        return folder.source_tokenizer_folder
    return folder.tokenizer_folder if folder.tokenizer_folder.is_dir() else Path(path)


def keep(tokenizer, folder: Path) -> None:
    """Saves a tokenizer where none is yet; of several that do so at once, one wins.

    It is written beside its place first: half a tokenizer must not be taken for a whole one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{socket.gethostname()}.{os.getpid()}.partial")
    partial.mkdir(exist_ok=True)
    try:
        tokenizer.save(partial)
        for file in partial.iterdir():
            flush(file)
        try:
            partial.rename(folder)
        except OSError:
            if not (folder / tokenizers.FILE_NAME).is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
