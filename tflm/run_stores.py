"""The store that a run was trained and validated on: of which kind it is depends on the objective."""

import dataclasses

from tflm import config as configs
from tflm.data.corpora import DataConfig


def open_store(run, progress=None):
    """The store of a run, built now if it is not in the cache.

    Args:
        run: a tflm.run.Run.
        progress: called as progress(description, done, total) in bytes.
    """
    data = configs.from_dict(DataConfig, run.experiment["data"], "data")
    return STORES.get(run.experiment["objective"]["kind"], _tokens)(run, data, progress)


def settings_of(run, kind: type):
    """A dataclass of `kind` from the fields of the same names in the objective's config."""
    objective = run.experiment["objective"]
    return kind(**{field.name: objective[field.name] for field in dataclasses.fields(kind)})


def _tokens(run, data, progress):
    from tflm.data.store import build_store

    return build_store(data, run.tokenizer, progress=progress)


def _labelled(run, data, progress):
    from tflm.data.labelled_store import build_labelled_store

    return build_labelled_store(data, run.tokenizer, progress=progress)


def _pairs(run, data, progress):
    from tflm.data.encoded_pairs import PairLimits
    from tflm.data.parallel_store import build_parallel_store

    limits = settings_of(run, PairLimits)
    return build_parallel_store(
        data, run.tokenizer, run.source_tokenizer, limits, progress=progress
    )


def _questions(run, data, progress):
    from tflm.data.encoded_questions import WindowLimits
    from tflm.data.question_store import build_question_store

    limits = settings_of(run, WindowLimits)
    return build_question_store(data, run.tokenizer, limits, progress=progress)


def _tagged(run, data, progress):
    from tflm.data.tagged_split import TagReading
    from tflm.data.tagged_store import build_tagged_store

    reading = settings_of(run, TagReading)
    return build_tagged_store(data, run.tokenizer, reading, progress=progress)


# The objective's kind -> what opens its store; the others learn from running text.
STORES = {
    "classify": _labelled,
    "classify_bag": _labelled,
    "seq2seq": _pairs,
    "span": _questions,
    "tag": _tagged,
}
