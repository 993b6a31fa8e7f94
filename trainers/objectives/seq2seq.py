"""The objective seq2seq: write the target of a source, token by token.

An encoder-decoder reads the source by itself. A model without an encoder (gpt) reads it as the beginning of a text,
`bos, prompt_format with the source, target..., eos`, and the loss is on target and eos alone.

Vaswani et al. 2017, "Attention Is All You Need", section 5: label smoothing of 0.1, batches of pairs of like length.
"""

import dataclasses

from tflm.config import check_choices, check_ranges
from tflm.data.features import LABELS, SOURCE_IDS, TOKEN_IDS, WEIGHTS
from tflm.errors import UserError
from tflm.metrics import rouge, translation
from tflm.text.tokenizer import PAD_ID, TokenizerConfig

METRICS = ("bleu", "rouge")
DECODER_ONLY = ("gpt",)


@dataclasses.dataclass
class Seq2SeqConfig:
    """
    Attributes:
        label_smoothing: share of the target's mass spread over the vocabulary (Szegedy et al. 2016, section 7).
        source_tokenizer: of a source that has its own; None: one tokenizer is trained on both sides.
        max_source_tokens, max_target_tokens: longer pairs are left out and counted; EOS counts, too. 0 for
            train.sequence_length, or half of it for a model without an encoder, which reads one behind the other.
        max_length_ratio: pairs of more than 8 tokens whose longer side has more than so many times the tokens of the
            shorter are left out; 0 for no limit.
        prompt_format: how a model without an encoder reads a source, which stands in place of {source}.
        metric: what translations of the validation are scored by, bleu (chrF beside it) or rouge.
        metric_words: what BLEU counts, one of tflm.metrics.translation.TOKENIZERS, or ROUGE, one of
            tflm.metrics.rouge.WORDS; "" for 13a and for words.
        metric_pairs: the first so many pairs of the validation are translated, greedily; 0 for none.
    """

    label_smoothing: float = 0.1
    source_tokenizer: TokenizerConfig | None = None
    max_source_tokens: int = 0
    max_target_tokens: int = 0
    max_length_ratio: float = 0.0
    prompt_format: str = "{source}\n"
    metric: str = "bleu"
    metric_words: str = ""
    metric_pairs: int = 200

    def __post_init__(self):
        check_ranges(
            self,
            label_smoothing=(0, 1),
            max_source_tokens=(0, None),
            max_target_tokens=(0, None),
            max_length_ratio=(0, None),
            metric_pairs=(0, None),
        )
        if self.prompt_format.count("{source}") != 1:
            raise UserError(
                "`prompt_format` must hold {source} once, for the text that is read. "
                f"Received: {self.prompt_format!r}."
            )
        check_choices(self, "objective.", metric=METRICS)
        if self.metric == "bleu":
            translation.check_tokenizer(self.metric_words or "13a")
        else:
            rouge.check_words(self.metric_words or "words")

    def complete(self, model_config, train) -> None:
        """Fills in the lengths that are left open.

        Raises:
            UserError: where a pair that is trained on may be longer than the model reads.
        """
        has_encoder = hasattr(model_config, "max_source_length")
        longest = train.sequence_length if has_encoder else train.sequence_length // 2
        self.max_source_tokens = self.max_source_tokens or longest
        self.max_target_tokens = self.max_target_tokens or longest
        if not has_encoder:
            return  # the batches know how long a pair is with its prompt
        for side, field in (("source", "max_source_length"), ("target", "max_sequence_length")):
            wanted, limit = getattr(self, f"max_{side}_tokens"), getattr(model_config, field)
            if limit is not None and limit < wanted:
                raise UserError(
                    f"`model.{field}` must be at least objective.max_{side}_tokens, which is train.sequence_length "
                    f"unless it is set. Received: {field}={limit}, max_{side}_tokens={wanted}."
                )

    def scores(self, hypotheses, references) -> dict:
        """BLEU and chrF, or ROUGE, with their signatures."""
        if self.metric == "bleu":
            words = self.metric_words or "13a"
            return translation.translation_scores(hypotheses, references, words)
        return rouge.rouge_scores(hypotheses, references, self.metric_words or "words")


class Seq2SeqObjective:
    score_name = "nats_per_token"
    families = ("seq2seq_transformer", "seq2seq_lstm", *DECODER_ONLY)
    rows_vary = True  # from batch to batch

    def __init__(self, config: Seq2SeqConfig):
        self.config = config
        self.tokenizer = self.source_tokenizer = None

    def check_family(self, family: str) -> None:
        """Raises UserError for a family that cannot be trained with these settings."""
        if family in DECODER_ONLY and self.config.source_tokenizer is not None:
            raise UserError(
                f"A model of {family} reads source and target with one vocabulary. "
                "Set objective.source_tokenizer to None."
            )

    def read_tokenizers(self, tokenizer, source_tokenizer) -> None:
        if source_tokenizer.pad_id != PAD_ID:
            raise UserError(
                f"A source is padded with the id {PAD_ID}, which must be the pad_id of its tokenizer. "
                f"Received: {source_tokenizer.pad_id}. Leave out its load_from to train one."
            )
        self.tokenizer, self.source_tokenizer = tokenizer, source_tokenizer

    def training_texts(self, data, sample_bytes, seed, progress=None, of_source: bool = False):
        """What a tokenizer is trained on: both sides, where they share one."""
        from tflm.data.parallel_corpora import parallel_training_texts

        side = "both"
        if self.config.source_tokenizer is not None:
            side = "source" if of_source else "target"
        return parallel_training_texts(data, sample_bytes, seed, progress=progress, side=side)

    @property
    def limits(self):
        """The PairLimits of the config."""
        from tflm.data.encoded_pairs import PairLimits

        names = [field.name for field in dataclasses.fields(PairLimits)]
        return PairLimits(**{name: getattr(self.config, name) for name in names})

    def open_store(self, data, tokenizer, progress=None):
        from tflm.data.parallel_store import build_parallel_store

        return build_parallel_store(
            data, tokenizer, self.source_tokenizer, self.limits, progress=progress
        )

    def fill_in(self, model_config, store) -> None:
        """Takes over the size of the source's vocabulary where the config leaves it open.

        Raises:
            UserError: where it is too small.
        """
        if not hasattr(model_config, "source_vocabulary_size"):
            return
        size = self.source_tokenizer.vocabulary_size
        if model_config.source_vocabulary_size == 0:
            shared = self.source_tokenizer is self.tokenizer
            model_config.source_vocabulary_size = model_config.vocabulary_size if shared else size
        if model_config.source_vocabulary_size < size:
            raise UserError(
                f"`model.source_vocabulary_size` is {model_config.source_vocabulary_size}, but the tokenizer of the "
                f"source has {size} tokens. Leave it at 0 to take the tokenizer's."
            )

    def prompt_format(self, model) -> str | None:
        """How a model without an encoder reads a source; None for one with an encoder."""
        return None if hasattr(model, "encode") else self.config.prompt_format

    def batches(self, split, model, train, once: bool = False):
        """Pairs of like length; with `once` each of them one time, in order, for an evaluation.

        Rows are cut into micro-batches whatever their number is, so that batches do not depend on train.accumulation.
        """
        from tflm.data.parallel_batches import ParallelBatches
        from tflm.data.prompted_batches import Prompt, PromptedBatches

        sizes = (train.sequence_length, train.batch_size, None if once else train.seed)
        prompt_format = self.prompt_format(model)
        if prompt_format is None:
            return ParallelBatches(split, *sizes)
        prompt = Prompt(prompt_format, self.tokenizer)
        return PromptedBatches(split, prompt, *sizes, max_length=model.max_sequence_length)

    def initial_carry(self, model, batch_size: int) -> dict:
        return {}

    def loss(self, model, batch, carry):
        from tflm.metrics.cross_entropy import loss

        total = loss(
            model,
            hidden_of_target(model, batch, training=True),
            batch[LABELS],
            batch[WEIGHTS],
            label_smoothing=self.config.label_smoothing,
        )
        return total, carry

    def evaluator(self, model, train, tokenizer):
        from trainers.objectives.pair_evaluation import PairEvaluation

        return PairEvaluation(self, model, train)


def hidden_of_target(model, batch, training: bool):
    """What the output layer reads at every place of the targets: (B, T, D)."""
    if SOURCE_IDS not in batch:
        return model.hidden(batch[TOKEN_IDS], training=training)[0]
    encoded = model.encode(batch[SOURCE_IDS], training=training)
    return model.hidden(batch[TOKEN_IDS], encoded, training=training)[0]
