"""The causal objective: predict the next token."""

import dataclasses

import numpy as np

from tflm.config import check_ranges
from tflm.data.features import LABELS, RESET, STEP, TOKEN_IDS, WEIGHTS
from tflm.errors import UserError


@dataclasses.dataclass
class CausalConfig:
    """
    Attributes:
        carry_state: a recurrent model reads the text in order and keeps its state from one batch to the next
            (truncated back-propagation through time, Williams and Peng 1990); other models ignore it.
        label_smoothing: share of the target's mass spread over the vocabulary (Szegedy et al. 2016, section 7).
        activation_regularization: weight of the mean square of what a recurrent model's last layer says (AR; Merity et
            al. 2017, "Revisiting Activation Regularization for Language RNNs", have 2).
        temporal_activation_regularization: weight of the mean square of its change in a step (TAR; 1 or 2 there).
        z_loss: weight of log^2 of the softmax's denominator (Chowdhery et al. 2022, "PaLM", have 1e-4).
        sampled_words: where a vocabulary is large, train on that many words drawn anew for every step, and
        frequent_words: on the first words of the vocabulary, the most frequent ones of a word tokenizer; see
            `tflm.metrics.sampled_cross_entropy`. 0 sampled words: all words, always.
    """

    carry_state: bool = True
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    activation_regularization: float = 0.0
    temporal_activation_regularization: float = 0.0
    sampled_words: int = 0
    frequent_words: int = 4096

    def __post_init__(self):
        check_ranges(
            self,
            label_smoothing=(0, 1),
            z_loss=(0, None),
            activation_regularization=(0, None),
            temporal_activation_regularization=(0, None),
            sampled_words=(0, None),
            frequent_words=(1, None),
        )
        if self.sampled_words and (self.label_smoothing or self.z_loss):
            raise UserError(
                "`objective.sampled_words` goes with neither label_smoothing nor z_loss, which need all words; set "
                f"them to 0. Received: label_smoothing={self.label_smoothing}, z_loss={self.z_loss}."
            )

    @property
    def regularizes_activations(self) -> bool:
        return bool(self.activation_regularization or self.temporal_activation_regularization)


class Numbered:
    """The batches of a source, each with its number.

    Attributes:
        steps_per_epoch, tokens_per_step: of the source.
    """

    def __init__(self, source):
        self._source = source
        self.steps_per_epoch, self.tokens_per_step = source.steps_per_epoch, source.tokens_per_step

    def batch(self, step: int) -> dict:
        return self._source.batch(step) | {STEP: np.int32(step)}


class CausalObjective:
    score_name = "bits_per_byte"
    families = ("word2vec", "rnn", "gpt")

    def __init__(self, config: CausalConfig):
        self.config = config

    @property
    def loss_is_nats(self) -> bool:
        """Whether the loss is -log p and nothing else, so that it has bits per byte."""
        config = self.config
        changed = config.label_smoothing or config.z_loss or config.regularizes_activations
        return not (changed or config.sampled_words)

    def check_family(self, family: str) -> None:
        """Raises UserError for a family that cannot be trained with these settings."""
        if self.config.regularizes_activations and family != "rnn":
            raise UserError(
                "The objective causal regularizes activations of models of rnn only. Received: a model of "
                f"{family}; set objective.activation_regularization and "
                "objective.temporal_activation_regularization to 0."
            )

    def _carries(self, model) -> bool:
        return self.config.carry_state and model.carries_state

    def batches(self, split, model, train):
        from tflm.data.windows import ContiguousLanes, ShuffledWindows

        kind = ContiguousLanes if self._carries(model) else ShuffledWindows
        source = kind(split, train.sequence_length, train.batch_size, train.seed)
        return Numbered(source) if self._samples(model) else source

    def _samples(self, model) -> bool:
        """Whether there are more words than are to be summed."""
        config = self.config
        words = config.frequent_words + config.sampled_words
        return config.sampled_words > 0 and words < model.config.vocabulary_size

    def initial_carry(self, model, batch_size: int) -> dict:
        return model.initial_state(batch_size) if self._carries(model) else {}

    def loss(self, model, batch, carry):
        from keras import ops

        from trainers.objectives.activation_regularization import activation_penalty

        keep = ops.logical_not(batch[RESET])[:, None] if carry else None
        state = {name: value * ops.cast(keep, value.dtype) for name, value in carry.items()}
        penalty = 0.0
        if self.config.regularizes_activations:
            raw, output, state = model.activations(batch[TOKEN_IDS], state or None, training=True)
            hidden = model.narrowed(output)
            penalty = activation_penalty(
                raw,
                output,
                batch[WEIGHTS],
                self.config.activation_regularization,
                self.config.temporal_activation_regularization,
            )
        else:
            hidden, state = model.hidden(batch[TOKEN_IDS], state or None, training=True)
        return penalty + self._cross_entropy(model, hidden, batch), state if carry else {}

    def _cross_entropy(self, model, hidden, batch):
        from tflm.generation.sampling import uniform
        from tflm.metrics import cross_entropy, sampled_cross_entropy

        config = self.config
        if not self._samples(model):
            return cross_entropy.loss(
                model,
                hidden,
                batch[LABELS],
                batch[WEIGHTS],
                label_smoothing=config.label_smoothing,
                z_loss=config.z_loss,
            )
        strata = sampled_cross_entropy.num_strata(
            model.config.vocabulary_size, config.frequent_words, config.sampled_words
        )
        numbers = uniform(0, batch[STEP], (1, strata))[0]
        return sampled_cross_entropy.loss(
            model, hidden, batch[LABELS], batch[WEIGHTS], config.frequent_words, numbers
        )

    def evaluator(self, model, train, tokenizer):
        from tflm.metrics.compression import LanguageModelScore
        from tflm.metrics.rolling import RollingScorer

        scorer = RollingScorer(
            model,
            train.sequence_length,
            train.batch_size // train.accumulation,  # what is known to fit into the memory
            not_predicted=tokenizer.bos_id,
        )

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            tokens = split.tokens
            share = 1.0
            if max_tokens and max_tokens < len(tokens):
                share, tokens = max_tokens / len(tokens), tokens[:max_tokens]
            nats, num_tokens = scorer.score(tokens, progress)
            return LanguageModelScore(
                nats=nats,
                num_tokens=num_tokens,
                # A part of the split is taken to have its share of the bytes; only during training.
                num_bytes=round(split.num_bytes * share),
                num_words=round(split.num_words * share),
                unknown_share=split.unknown_share,
            ).to_dict()

        return evaluate
