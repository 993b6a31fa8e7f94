"""The objective masked: find the tokens that were hidden from an encoder.

Devlin et al. 2019, section 3.1; next-sentence prediction is the second task there, which Liu et al. 2019 ("RoBERTa",
section 4.2) found to be of no use: an option, off.
"""

import dataclasses
import math

from tflm.data.features import (
    IS_ELSEWHERE,
    LABELS,
    MASKED_POSITIONS,
    ROW_WEIGHTS,
    SEGMENT_IDS,
    TOKEN_IDS,
    WEIGHTS,
)
from tflm.data.masking import Masking
from tflm.errors import UserError


@dataclasses.dataclass
class MaskedConfig:
    """
    Attributes:
        share: of the tokens that are to be found.
        masked, random: of these, the share that [MASK] stands for, and a random token; the rest stays.
        words: what is chosen as a whole: "pieces" (the words that pieces belong to), "jieba" (also the words of
            Chinese that jieba finds), or "none" for single tokens.
        next_sentence: whether rows are pairs, of which it is to be said whether the second goes on from the first.
    """

    share: float = 0.15
    masked: float = 0.8
    random: float = 0.1
    words: str = "pieces"
    next_sentence: bool = False

    def __post_init__(self):
        _ = self.masking

    @property
    def masking(self) -> Masking:
        return Masking(self.share, self.masked, self.random, self.words)

    def complete(self, model_config, train) -> None:
        """Raises UserError for rows that are too short, or pairs that the model cannot tell apart."""
        if train.sequence_length < 8:
            raise UserError(
                f"The objective masked needs train.sequence_length=8 at least. Received: {train.sequence_length}."
            )
        if self.next_sentence and model_config.num_segments < 2:
            raise UserError(
                "objective.next_sentence needs model.num_segments=2 at least. "
                f"Received: {model_config.num_segments}."
            )


class MaskedObjective:
    score_name = "nats_per_masked_token"
    families = ("bert",)

    def __init__(self, config: MaskedConfig):
        self.config = config
        self._tokenizer = self._masker = None

    def read_tokenizers(self, tokenizer, source_tokenizer) -> None:
        """Raises UserError for a tokenizer without [MASK]."""
        from tflm.data.masking import Masker

        self._tokenizer = tokenizer
        self._masker = Masker(self.config.masking, tokenizer)

    def batches(self, split, model, train, once: bool = False):
        """With `once` one pass over the split in order."""
        from tflm.data.masked_windows import MaskedWindows

        return MaskedWindows(
            split,
            self._masker,
            (self._tokenizer.bos_id, self._tokenizer.eos_id),
            train.sequence_length,
            train.batch_size,
            None if once else train.seed,
            self.config.next_sentence,
        )

    def initial_carry(self, model, batch_size: int) -> dict:
        return {}

    def loss(self, model, batch, carry):
        from keras import ops

        from tflm.metrics.cross_entropy import cross_entropy, loss

        sequence, predictions = self._predictions(model, batch, training=True)
        total = loss(model, predictions, batch[LABELS], batch[WEIGHTS])
        if self.config.next_sentence:
            losses = cross_entropy(model.next_sentence(sequence), batch[IS_ELSEWHERE])
            total = total + ops.sum(losses * batch[ROW_WEIGHTS])
        return total, carry

    def _predictions(self, model, batch, training: bool):
        """(B, T, D) of the rows, and what the output layer reads where a token is to be found: (B, P, D)."""
        from keras import ops

        sequence = model.sequence(batch[TOKEN_IDS], batch.get(SEGMENT_IDS), training=training)
        hidden = ops.take_along_axis(sequence, batch[MASKED_POSITIONS][..., None], axis=1)
        return sequence, model.predictions(hidden)

    def evaluator(self, model, train, tokenizer):
        from keras import ops

        from tflm.backend import compiled

        self.read_tokenizers(tokenizer, tokenizer)

        def score(batch):
            """Nats and right answers: of the tokens, and of the pairs."""
            from tflm.metrics.cross_entropy import scores

            sequence, predictions = self._predictions(model, batch, training=False)
            is_found = ops.cast(batch[WEIGHTS] > 0, "float32")
            nats = ops.sum(scores(model, predictions, batch[LABELS]) * is_found)
            answers = ops.argmax(model.logits(predictions), axis=-1)
            right = ops.cast(ops.equal(ops.cast(answers, "int32"), batch[LABELS]), "float32")
            right_pairs = ops.zeros((), "float32")
            if self.config.next_sentence:
                answers = ops.cast(ops.argmax(model.next_sentence(sequence), axis=-1), "int32")
                right_pairs = ops.sum(ops.cast(ops.equal(answers, batch[IS_ELSEWHERE]), "float32"))
            return ops.stack([nats, ops.sum(right * is_found), right_pairs])

        measure = compiled(model, score)
        rows = dataclasses.replace(train, batch_size=train.batch_size // train.accumulation)

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            """max_tokens: of the text; 0 for all."""
            batches = self.batches(split, model, rows, once=True)
            num_batches = batches.num_batches
            if max_tokens:
                num_batches = max(1, min(num_batches, max_tokens // batches.tokens_per_step))
            nats, right, right_pairs, num_masked, num_rows = 0.0, 0.0, 0.0, 0, 0
            for step in range(num_batches):
                batch = batches.batch(step)
                values = ops.convert_to_numpy(measure(batch)).astype(float)
                nats, right, right_pairs = (
                    nats + values[0],
                    right + values[1],
                    right_pairs + values[2],
                )
                num_masked += int((batch[WEIGHTS] > 0).sum())
                num_rows += len(batch[TOKEN_IDS])
                if progress is not None:
                    progress("evaluate", step + 1, num_batches)
            per_token = nats / num_masked
            result = {
                "nats_per_masked_token": per_token,
                "perplexity_per_masked_token": math.exp(min(per_token, 700.0)),
                "masked_accuracy": right / num_masked,
                "num_masked": num_masked,
                "unknown_share": split.unknown_share,
            }
            if self.config.next_sentence:
                result["next_sentence_accuracy"] = right_pairs / num_rows
            return result

        return evaluate
