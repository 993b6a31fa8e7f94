"""The objective contrastive: a text's vector is nearer to itself than to any other text's.

Gao et al. 2021, "SimCSE: Simple Contrastive Learning of Sentence Embeddings", equation 4: every text is read twice,
each time with other units dropped out; with h_i and h'_i the two vectors of text i,

    loss_i = -log (exp(cos(h_i, h'_i) / t) / sum_j exp(cos(h_i, h'_j) / t))      over the texts j of the batch

Validation drops nothing out: there, the first half of every text must find its own second half.

Shapes: B batch, T time, D hidden.
"""

import dataclasses
import math

import numpy as np

from tflm.config import check_choices, check_ranges
from tflm.data.features import PADDING_MASK, TOKEN_IDS, WEIGHTS
from tflm.errors import UserError

POOLINGS = ("first", "mean")


@dataclasses.dataclass
class ContrastiveConfig:
    """
    Attributes:
        temperature: t.
        pooling: what stands for a text: its first token, or the mean of all.
    """

    temperature: float = 0.05
    pooling: str = "mean"

    def __post_init__(self):
        check_choices(self, "objective.", pooling=POOLINGS)
        check_ranges(self, "objective.", temperature=(1e-3, None))

    def complete(self, model_config, train) -> None:
        """Raises UserError where a text could not be told from itself, or from too few others."""
        if model_config.dropout == 0:
            raise UserError(
                "The objective contrastive reads a text twice with other units dropped out: model.dropout must be "
                "above 0. Received: 0."
            )
        if train.accumulation > 1:
            raise UserError(
                "The objective contrastive tells the texts of one batch apart, which micro-batches would make fewer: "
                f"train.accumulation must be 1. Received: {train.accumulation}."
            )


class ContrastiveObjective:
    score_name = "nats_per_text"
    families = ("bert",)

    def __init__(self, config: ContrastiveConfig):
        self.config = config
        self._tokenizer = None

    def read_tokenizers(self, tokenizer, source_tokenizer) -> None:
        self._tokenizer = tokenizer

    def batches(self, split, model, train, once: bool = False):
        from tflm.data.text_batches import TextBatches

        frame = (self._tokenizer.pad_id, self._tokenizer.eos_id)
        seed = None if once else train.seed
        return TextBatches(split, frame, train.sequence_length, train.batch_size, seed)

    def initial_carry(self, model, batch_size: int) -> dict:
        return {}

    def loss(self, model, batch, carry):
        from keras import ops

        twice = [ops.concatenate([batch[name]] * 2) for name in (TOKEN_IDS, PADDING_MASK)]
        first, second = ops.split(self._vectors(model, *twice, training=True), 2)
        losses, _ = self._found(first, second)
        return ops.sum(losses * batch[WEIGHTS]), carry

    def _vectors(self, model, token_ids, padding_mask, training: bool):
        """(B, D) float32, of length 1."""
        from keras import ops

        from tflm.models.pooling import pool

        sequence = model.sequence(token_ids, padding_mask=padding_mask, training=training)
        vectors = ops.cast(pool(sequence, padding_mask, self.config.pooling), "float32")
        return ops.normalize(vectors, axis=-1)

    def _found(self, first, second):
        """The loss of every text, and whether its own other vector is the nearest: (B,) each."""
        from keras import ops

        from tflm.metrics.cross_entropy import cross_entropy

        scores = ops.matmul(first, ops.transpose(second)) / self.config.temperature
        own = ops.arange(ops.shape(scores)[0], dtype="int32")
        nearest = ops.cast(ops.argmax(scores, axis=-1), "int32")
        return cross_entropy(scores, own), ops.cast(ops.equal(nearest, own), "float32")

    def evaluator(self, model, train, tokenizer):
        from keras import ops

        from tflm.backend import compiled

        self._tokenizer = tokenizer

        def measured(halves):
            vectors = [
                self._vectors(model, halves[f"ids_{i}"], halves[f"mask_{i}"], False) for i in "ab"
            ]
            return ops.stack(self._found(*vectors))

        measure = compiled(model, measured)

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            batches = self.batches(split, model, train, once=True)
            sums, num_texts, num_tokens = np.zeros(2), 0, 0
            for step in range(batches.num_batches):
                batch = batches.batch(step)
                counts = np.flatnonzero(batch[WEIGHTS] > 0)
                values = ops.convert_to_numpy(measure(halves_of(batch, tokenizer)))
                sums += values[:, counts].sum(axis=1)
                num_texts += len(counts)
                num_tokens += int(batch[PADDING_MASK].sum())
                if progress is not None:
                    progress("evaluate", step + 1, batches.num_batches)
                if max_tokens and num_tokens >= max_tokens:
                    break
            return {
                "nats_per_text": sums[0] / num_texts,
                "half_found": sums[1] / num_texts,
                "num_texts": num_texts,
                "texts_at_a_time": train.batch_size,
                "unknown_share": split.unknown_share,
            }

        return evaluate


def halves_of(batch: dict, tokenizer) -> dict[str, np.ndarray]:
    """The first and the second half of every text of a batch, each between the tokens that frame a text."""
    token_ids, lengths = batch[TOKEN_IDS], batch[PADDING_MASK].sum(axis=1)
    width = math.ceil((token_ids.shape[1] - 2) / 2) + 2
    halves = {}
    for name, is_second in (("a", False), ("b", True)):
        ids = np.full((len(token_ids), width), tokenizer.pad_id, np.int32)
        mask = np.zeros(ids.shape, bool)
        for row, (tokens, length) in enumerate(zip(token_ids, lengths, strict=True)):
            inner = tokens[1 : length - 1]
            cut = math.ceil(len(inner) / 2)
            half = [
                tokenizer.bos_id,
                *(inner[cut:] if is_second else inner[:cut]),
                tokenizer.eos_id,
            ]
            ids[row, : len(half)], mask[row, : len(half)] = half, True
        halves |= {f"ids_{name}": ids, f"mask_{name}": mask}
    return halves
