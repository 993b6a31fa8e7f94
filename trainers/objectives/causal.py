"""The causal objective: predict the next token.

Shapes: B batch, T time, V vocabulary.
"""

import dataclasses

from tflm.config import check_ranges
from tflm.data.features import LABELS, RESET, TOKEN_IDS, WEIGHTS


@dataclasses.dataclass
class CausalConfig:
    """
    Attributes:
        carry_state: a recurrent model reads the text in order and keeps its state from one batch to the next
            (truncated back-propagation through time, Williams and Peng 1990); other models ignore it.
        label_smoothing: share of the target's mass spread over the vocabulary (Szegedy et al. 2016, section 7).
    """

    carry_state: bool = True
    label_smoothing: float = 0.0

    def __post_init__(self):
        check_ranges(self, label_smoothing=(0, 1))


class CausalObjective:
    score_name = "bits_per_byte"
    families = ("word2vec", "rnn", "gpt")

    def __init__(self, config: CausalConfig):
        self.config = config

    def _carries(self, model) -> bool:
        return self.config.carry_state and model.carries_state

    def batches(self, split, model, train):
        from tflm.data.windows import ContiguousLanes, ShuffledWindows

        source = ContiguousLanes if self._carries(model) else ShuffledWindows
        return source(split, train.sequence_length, train.batch_size, train.seed)

    def initial_carry(self, model, batch_size: int) -> dict:
        return model.initial_state(batch_size) if self._carries(model) else {}

    def loss(self, model, batch, carry):
        from keras import ops

        from tflm.metrics.rolling import negative_log_likelihood

        if carry:
            keep = ops.logical_not(batch[RESET])[:, None]
            carry = {name: state * ops.cast(keep, state.dtype) for name, state in carry.items()}
            logits, carry = model.step(batch[TOKEN_IDS], carry, 0, training=True)
        else:
            logits = model(batch[TOKEN_IDS], training=True)
        losses = negative_log_likelihood(logits, batch[LABELS])
        if self.config.label_smoothing:
            # -mean log p: the cross-entropy to the uniform distribution.
            uniform = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
            share = self.config.label_smoothing
            losses = (1 - share) * losses + share * uniform
        return ops.sum(losses * batch[WEIGHTS]), carry

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
