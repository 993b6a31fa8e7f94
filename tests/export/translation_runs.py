"""Runs without training that write a target for a source: bytes as target, the same or characters as source."""

import dataclasses
import string
from pathlib import Path

import numpy as np

from tests import zoo
from tflm import models
from tflm.text import tokenizer as tokenizers
from tflm.text.byte import ByteTokenizer

PROMPT_FORMAT = "translate: {source}\n"
ANIMALS = ("dog", "cat", "old horse", "very small bird", "fox")
SENTENCES = [
    (f"The {animal} {verb} {place}.", f"{place}, {verb}: {animal}!")
    for verb in ("sees", "is", "runs")
    for place in ("here", "in the wet garden")
    for animal in ANIMALS
]


@dataclasses.dataclass
class TranslationRun:
    model: object
    tokenizer: object
    source_tokenizer: object
    objective: dict
    run_dir: Path = Path("runs/fake")
    step: int = 10

    @property
    def family(self):
        return self.model.name

    @property
    def experiment(self):
        return {"objective": self.objective, "model": {"family": self.family}}

    def open_store(self, progress=None):
        return FakeStore(
            [
                (
                    [*self.source_tokenizer.encode(source), self.tokenizer.eos_id],
                    [self.tokenizer.bos_id, *self.tokenizer.encode(target), self.tokenizer.eos_id],
                )
                for source, target in SENTENCES
            ]
        )


@dataclasses.dataclass
class FakeStore:
    pairs: list

    def split(self, name):
        return FakeSplit(self.pairs if name == "test" else [])


@dataclasses.dataclass
class FakeSplit:
    pairs: list

    @property
    def num_pairs(self):
        return len(self.pairs)

    def source(self, row):
        return np.asarray(self.pairs[row][0], "uint16")

    def target(self, row):
        return np.asarray(self.pairs[row][1], "uint16")


def translation_run(name: str, **objective) -> TranslationRun:
    """The run of one entry of the zoo; "gpt" is a decoder that reads the source in a prompt.

    Args:
        objective: fields of the objective's config.
    """
    objective = {"kind": "seq2seq", "prompt_format": PROMPT_FORMAT} | objective
    if name == "gpt":
        config = dataclasses.replace(zoo.ZOO["gpt_rotary"], max_sequence_length=96)
        model = models.build(config)
        zoo.spread(model)
    else:
        model = zoo.build(name)
    tokenizer = source_tokenizer = ByteTokenizer()
    if getattr(model.config, "source_vocabulary_size", 0):
        config = tokenizers.TokenizerConfig(kind="character", vocabulary_size=90)
        source_tokenizer = tokenizers.train(config, [string.ascii_letters + " .,:;!?-"])
    return TranslationRun(model, tokenizer, source_tokenizer, objective)


def translations(run, texts: list[str], **beam) -> list[str]:
    """What `tflm.generation` makes of texts."""
    from tflm.generation.beam import BeamConfig
    from tflm.generation.translate import Translator

    prompt_format = run.objective["prompt_format"] if run.family == "gpt" else None
    translator = Translator(run.model, run.tokenizer, run.source_tokenizer, prompt_format)
    return translator.translate(texts, BeamConfig(**beam))
