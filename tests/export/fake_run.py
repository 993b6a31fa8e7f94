"""A run without training: a model of the zoo with well-spread weights, bytes as tokens, some text."""

import dataclasses
from pathlib import Path

import numpy as np

from tests import zoo
from tflm.text.byte import ByteTokenizer

DOCUMENTS = [
    f"Document {i}. The quick brown fox jumps over the lazy dog; line {i * 7} of {i + 40}.\n" * 3
    for i in range(12)
]


@dataclasses.dataclass
class FakeSplit:
    tokens: np.ndarray
    document_starts: np.ndarray


@dataclasses.dataclass
class FakeStore:
    tokens: FakeSplit

    def split(self, name):
        return self.tokens


@dataclasses.dataclass
class FakeRun:
    model: object
    family: str
    tokenizer: object = dataclasses.field(default_factory=ByteTokenizer)
    objective: str = "causal"
    run_dir: Path = Path("runs/fake")
    step: int = 10
    decoder: object = None  # kept, so that it compiles once

    @property
    def source_tokenizer(self):
        return self.tokenizer

    @property
    def experiment(self):
        return {"objective": {"kind": self.objective}, "model": {"family": self.model.name}}

    def open_store(self, progress=None):
        return FakeStore(held_out_split(self.tokenizer))


def fake_run(name: str, seed: int = 0, **fields) -> FakeRun:
    """The run of one entry of the zoo."""
    return FakeRun(model=zoo.build(name, seed), family=name, **fields)


def held_out_split(tokenizer) -> FakeSplit:
    rows = [[tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id] for text in DOCUMENTS]
    starts = np.cumsum([0, *map(len, rows[:-1])])
    return FakeSplit(np.concatenate(rows).astype("uint16"), starts)


def continue_with_decoder(run, texts, max_tokens, **sampling) -> list[list[int]]:
    """The new tokens that tflm.generation draws behind every text."""
    from tflm.generation.decoding import Decoder
    from tflm.generation.sampling import SamplingConfig

    prompts = [[run.tokenizer.bos_id, *run.tokenizer.encode(text)] for text in texts]
    new = [[] for _ in prompts]
    if run.decoder is None:
        run.decoder = Decoder(run.model, run.model.max_sequence_length or 512)
    for emitted in run.decoder.generate(
        prompts, max_tokens, SamplingConfig(**sampling), (run.tokenizer.eos_id,)
    ):
        for row, token in zip(new, emitted, strict=True):
            if token is not None:
                row.append(token)
    return new


WORDS_OF = [
    "the quick brown foxes jumped over lazy dogs and naïve cafés",
    "中文 日本語 emoji 😀😀 x a<b don't </s> über straße",
]


def word_run(
    family: str, objective: str, split="whitespace", normalization=(), **fields
) -> FakeRun:
    """A run of word vectors over the words of WORDS_OF, all variables different numbers.

    Args:
        fields: of the model's config.
    """
    from tflm import models
    from tflm.text import tokenizer as tokenizers

    config = tokenizers.TokenizerConfig(kind="word", split=split, normalization=normalization)
    tokenizer = tokenizers.train(config, WORDS_OF)
    fields = {"hidden_dim": 12, "vocabulary_size": tokenizer.vocabulary_size} | fields
    model = models.build(models.config_class(family)(**fields))
    zoo.spread(model)
    models.read_vocabulary(model, tokenizer)
    return FakeRun(model, family, tokenizer, objective)
