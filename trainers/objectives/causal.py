"""The causal objective: predict the next token."""

import dataclasses

from tflm.config import check_ranges
from tflm.data.features import LABELS, RESET, SEGMENT_IDS, TOKEN_IDS, WEIGHTS
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
        pack_documents: documents that share a row do not see each other, and each begins at position 0, as in use (for
            GPT; Touvron et al. 2024, "The Llama 3 Herd of Models", section 3.2). The windows are the plain ones.
        z_loss: weight of log^2 of the softmax's denominator (Chowdhery et al. 2022, "PaLM", have 1e-4).
    """

    carry_state: bool = True
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    activation_regularization: float = 0.0
    temporal_activation_regularization: float = 0.0
    pack_documents: bool = False

    def __post_init__(self):
        check_ranges(
            self,
            label_smoothing=(0, 1),
            z_loss=(0, None),
            activation_regularization=(0, None),
            temporal_activation_regularization=(0, None),
        )

    @property
    def regularizes_activations(self) -> bool:
        return bool(self.activation_regularization or self.temporal_activation_regularization)


class CausalObjective:
    score_name = "bits_per_byte"
    families = ("word2vec", "rnn", "gpt")

    def __init__(self, config: CausalConfig):
        self.config = config

    @property
    def loss_is_nats(self) -> bool:
        """Whether the loss is -log p and nothing else, so that it has bits per byte."""
        config = self.config
        return not (config.label_smoothing or config.z_loss or config.regularizes_activations)

    def check_family(self, family: str) -> None:
        """Raises UserError for a family that cannot be trained with these settings."""
        if self.config.pack_documents and family != "gpt":
            raise UserError(
                "objective.pack_documents needs a model of gpt, which can be kept from seeing a token. "
                f"Received: a model of {family}."
            )
        if self.config.regularizes_activations and family != "rnn":
            raise UserError(
                "The objective causal regularizes activations of models of rnn only. Received: a model of "
                f"{family}; set objective.activation_regularization and "
                "objective.temporal_activation_regularization to 0."
            )

    def _carries(self, model) -> bool:
        return self.config.carry_state and model.carries_state

    def batches(self, split, model, train):
        from tflm.data.windows import ContiguousLanes, PackedWindows, ShuffledWindows

        source = ContiguousLanes if self._carries(model) else ShuffledWindows
        if self.config.pack_documents:
            source = PackedWindows
        return source(split, train.sequence_length, train.batch_size, train.seed)

    def initial_carry(self, model, batch_size: int) -> dict:
        return model.initial_state(batch_size) if self._carries(model) else {}

    def loss(self, model, batch, carry):
        from keras import ops

        from tflm.metrics.cross_entropy import loss
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
            documents = {SEGMENT_IDS: batch[SEGMENT_IDS]} if self.config.pack_documents else {}
            hidden, state = model.hidden(
                batch[TOKEN_IDS], state or None, training=True, **documents
            )
        total = penalty + loss(
            model,
            hidden,
            batch[LABELS],
            batch[WEIGHTS],
            label_smoothing=self.config.label_smoothing,
            z_loss=self.config.z_loss,
        )
        return total, state if carry else {}

    def evaluator(self, model, train, tokenizer):
        from tflm.metrics.compression import LanguageModelScore
        from tflm.metrics.rolling import RollingScorer

        scorer = RollingScorer(
            model,
            train.sequence_length,
            train.batch_size // train.accumulation,  # what is known to fit into the memory
            not_predicted=tokenizer.bos_id,
            apart=self.config.pack_documents,
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
