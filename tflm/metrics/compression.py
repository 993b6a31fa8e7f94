"""The one scale on which language models with different tokenizers can be compared."""

import dataclasses
import math


@dataclasses.dataclass
class LanguageModelScore:
    """What a language model says of a text, every token predicted exactly once.

    Attributes:
        nats: sum of -log p of every token, the end of each document included.
        num_tokens: tokens predicted.
        num_bytes: UTF-8 bytes of the text.
        num_words: words of the text.
        unknown_share: share of <unk> among the tokens; a model is paid for hiding text behind it.
    """

    nats: float
    num_tokens: int
    num_bytes: int
    num_words: int
    unknown_share: float = 0.0

    @property
    def bits_per_byte(self) -> float:
        """nats / ln 2 / bytes: the size of the text, compressed with the model, against its own size, times 8."""
        return self.nats / math.log(2) / max(self.num_bytes, 1)

    @property
    def perplexity_per_token(self) -> float:
        return _exponential(self.nats / max(self.num_tokens, 1))

    @property
    def perplexity_per_word(self) -> float:
        """The usual figure of word-level language modelling, for any tokenizer."""
        return _exponential(self.nats / max(self.num_words, 1))

    def to_dict(self) -> dict:
        return dataclasses.asdict(self) | {
            "bits_per_byte": self.bits_per_byte,
            "perplexity_per_token": self.perplexity_per_token,
            "perplexity_per_word": self.perplexity_per_word,
        }


def _exponential(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
