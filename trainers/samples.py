"""What a model writes at each validation, in metrics.jsonl and on the TensorBoard page."""

import dataclasses

from tflm.generation.decoding import Decoder
from tflm.generation.sampling import SamplingConfig
from tflm.generation.text import complete


@dataclasses.dataclass(frozen=True)
class Continuation:
    """A prompt, and how a language model goes on."""

    prompt: str
    text: str

    def write(self, journal, step: int) -> None:
        journal.write("sample", step, {"prompt": self.prompt, "text": self.text})
        journal.text("validation", step, f"samples/{self.prompt}", self.prompt + self.text)


@dataclasses.dataclass(frozen=True)
class Translation:
    """A source, what stands beside it in the corpus, and what a model writes for it.

    Attributes:
        number: of the sample, from 1.
        attention: PNG image of where the model looked, None for one that does not say.
    """

    number: int
    source: str
    reference: str
    text: str
    attention: bytes | None = None

    def write(self, journal, step: int) -> None:
        values = {"source": self.source, "reference": self.reference, "text": self.text}
        journal.write("sample", step, values)
        lines = [f"{name}: {value}" for name, value in values.items()]
        journal.text("validation", step, f"samples/{self.number}", "\n".join(lines))
        if self.attention is not None:
            journal.image("validation", step, f"attention/{self.number}", self.attention)


def continuations(model, tokenizer, train):
    """() -> list of Continuation, drawn with one seed, so that they can be compared over time."""
    if not train.sample_tokens or not train.sample_prompts:
        return list
    prompts = list(train.sample_prompts)
    longest = max(len(tokenizer.encode(prompt)) for prompt in prompts)
    decoder = Decoder(model, 1 + longest + train.sample_tokens)
    settings = SamplingConfig(temperature=0.8, top_p=0.95, seed=0)

    def samples():
        texts = complete(decoder, tokenizer, prompts, train.sample_tokens, settings)
        return [Continuation(*pair) for pair in zip(prompts, texts, strict=True)]

    return samples
