"""The text that models are scored on: whether it is the same for all, and whether a tokenizer leaves it as it is."""

import dataclasses
from pathlib import Path

from tflm import config as configs
from tflm.data import corpora
from tflm.data.corpora import DataConfig
from tflm.data.encode import encode_documents, in_batches
from tflm.data.fingerprint import store_fingerprint
from tflm.data.readers import BadFile
from tflm.data.split_in_memory import split_in_memory
from tflm.data.store import TokenSplit
from tflm.errors import UserError

PROBE_CHARACTERS = 500_000  # of text that a tokenizer is tried on
PROBE_CHARACTERS_A_FILE = 50_000


class _NoTokenizer:
    """Stands where a store's fingerprint has the tokenizer, so that only text and split count."""

    kind, vocabulary_size = "", 0

    def fingerprint(self):
        return ""


def text_fingerprint(data: dict, progress=None) -> str:
    """What a run's text and its split into documents and splits depend on, whatever the tokenizer.

    Args:
        data: a DataConfig as plain values.
        progress: called as progress(description, done, total) in bytes.
    """
    config = configs.from_dict(DataConfig, data, "data")
    sources = corpora.resolve(config, corpora.cache_folder(), progress)
    return store_fingerprint(sources, config, _NoTokenizer(), progress)


def changed_text(tokenizer, data: dict) -> tuple[str, str] | None:
    """A line of the corpus that comes back from the tokenizer changed, as (before, after); None if there is none.

    A line with an unknown token says nothing here: their share is counted on its own. Nor does white space at a
    line's ends.

    Args:
        tokenizer: a tflm.text tokenizer. One that is lossless is believed; others are tried on some of the text.
        data: a DataConfig as plain values.
    """
    if tokenizer.lossless:
        return None
    config = configs.from_dict(DataConfig, data, "data")
    seen = 0
    for text in _some_documents(config):
        for line in text.splitlines():
            ids = tokenizer.encode(line)
            if tokenizer.unk_id not in ids:
                decoded = tokenizer.decode(ids)
                if decoded.strip() != line.strip():
                    return line, decoded
        seen += len(text)
        if seen > PROBE_CHARACTERS:
            break
    return None


def _some_documents(config: DataConfig):
    sources = corpora.resolve(config, corpora.cache_folder())
    files = sources["train"].files
    for file in files[:: max(len(files) // 50, 1)]:
        seen = 0
        try:
            for document in corpora.documents(file, config):
                yield document.text
                seen += len(document.text)
                if seen > PROBE_CHARACTERS_A_FILE:
                    break
        except BadFile:
            if config.on_bad_file == "error":
                raise


def split_of_file(path: str, tokenizer, data: dict, progress=None) -> TokenSplit:
    """The documents of a file or folder as a split, in memory.

    Args:
        path: text in any format of tflm.data.
        tokenizer: a tflm.text tokenizer.
        data: the run's DataConfig as plain values: how to decode the text and cut it into documents.
        progress: called as progress("tokenize", done, None) with characters.

    Raises:
        UserError: where there is no such file, or no text in it.
    """
    config = configs.from_dict(DataConfig, data, "data")
    config = dataclasses.replace(config, corpus=path, validation_corpus=None, test_corpus=None)
    if not Path(path).expanduser().exists():
        raise UserError(f"There is no file {path!r}. Give a text file or a folder as --file.")
    corpus = corpora.resolve(config, corpora.cache_folder())["train"]
    files, _ = corpora.readable(corpus, config)
    encoded, done = [], 0
    texts = (document for file in files for document in corpora.documents(file, config))
    for batch in in_batches(texts):
        encoded.append(encode_documents(tokenizer, [document.text for document in batch]))
        done += sum(len(document.text) for document in batch)
        if progress is not None:
            progress("tokenize", done, None)
    if not encoded:
        raise UserError(f"{path} holds no text.")
    return split_in_memory(encoded, tokenizer)


def split_for(run, path: str, progress=None) -> TokenSplit:
    """A file or folder as a split, in memory, of the kind that the run's objective learns from.

    Args:
        run: a tflm.run.Run.
        path: of texts, or of the examples of the objective's task.
        progress: called as progress("tokenize", done, total).

    Raises:
        UserError: where there is no such file, nothing in it, something wrong, or a label that the run does not know.
    """
    data = run.experiment["data"]
    read = TASKS.get(run.experiment["objective"]["kind"])
    if read is None:
        return split_of_file(path, run.tokenizer, data, progress)
    return read(run, path, configs.from_dict(DataConfig, data, "data"), progress)


def _labelled(run, path, config, progress):
    from tflm.data.labelled_store import labelled_split

    labels = tuple(run.experiment["objective"]["labels"])
    return labelled_split(path, run.tokenizer, labels, config, progress)


def _questions(run, path, config, progress):
    from tflm.data.encoded_questions import WindowLimits
    from tflm.data.question_store import question_split
    from tflm.run_stores import settings_of

    limits = settings_of(run, WindowLimits)
    return question_split(path, run.tokenizer, limits, config, progress)


def _tagged(run, path, config, progress):
    from tflm.data.tagged_split import TagReading, tagged_split
    from tflm.run_stores import settings_of

    labels = tuple(run.experiment["objective"]["labels"])
    reading = settings_of(run, TagReading)
    return tagged_split(path, run.tokenizer, labels, reading, config, progress)


# The objective's kind -> what reads a file of examples; the others learn from texts alone.
TASKS = {"classify": _labelled, "classify_bag": _labelled, "span": _questions, "tag": _tagged}
