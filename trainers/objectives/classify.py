"""The objective classify: which label a text has, by a linear layer over an encoder.

Devlin et al. 2019, section 4.1: the cross-entropy of the label, through the whole encoder.

Shapes: N texts, L labels.
"""

import dataclasses

import numpy as np

from tflm.config import check_choices, check_ranges
from tflm.data.features import LABELS, PADDING_MASK, SEGMENT_IDS, TOKEN_IDS, WEIGHTS
from tflm.metrics.calibration import calibration_counts, expected_calibration_error
from tflm.metrics.classification import (
    accuracy,
    average_scores,
    class_counts,
    confusion_counts,
    matthews_correlation,
)
from trainers.objectives.labelled import LabelledConfig, LabelledObjective

CLASS_WEIGHTS = ("none", "balanced")


@dataclasses.dataclass
class ClassifyConfig(LabelledConfig):
    """
    Attributes:
        label_smoothing: share of the target's mass spread over the labels.
        class_weights: "balanced" lets every label count as much as any other, however few texts have it; "none" every
            text.
    """

    label_smoothing: float = 0.0
    class_weights: str = "none"

    def __post_init__(self):
        check_ranges(self, label_smoothing=(0, 1))
        check_choices(self, "objective.", class_weights=CLASS_WEIGHTS)


class ClassifyObjective(LabelledObjective):
    families = ("classifier",)

    def __init__(self, config: ClassifyConfig):
        super().__init__(config)
        self._tokenizer = None

    def read_tokenizers(self, tokenizer, source_tokenizer) -> None:
        self._tokenizer = tokenizer

    def batches(self, split, model, train, once: bool = False):
        """With `once` each text one time, in order of length, all of them counted alike."""
        from tflm.data.text_batches import TextBatches

        weights = None
        if self.config.class_weights == "balanced" and not once:
            counts = np.bincount(split.labels, minlength=len(self.config.labels))
            weights = len(split.labels) / (len(counts) * np.maximum(counts, 1))
        return TextBatches(
            split,
            (self._tokenizer.pad_id, self._tokenizer.eos_id),
            train.sequence_length,
            train.batch_size,
            None if once else train.seed,
            weights,
        )

    def initial_carry(self, model, batch_size: int) -> dict:
        return {}

    def loss(self, model, batch, carry):
        from keras import ops

        from tflm.metrics.cross_entropy import cross_entropy

        losses = cross_entropy(
            logits_of(model, batch, training=True), batch[LABELS], self.config.label_smoothing
        )
        return ops.sum(losses * batch[WEIGHTS]), carry

    def logits(self, model, split, train, max_tokens: int = 0, progress=None):
        """What the model says of the texts of a split.

        Args:
            train: TrainConfig: how many at a time.
            max_tokens: stop when so many have been read; 0 for all.
            progress: called as progress("evaluate", done, total) in batches.

        Returns:
            Which texts (n,) int, in order; and their logits (n, L) float64.
        """
        from keras import ops

        from tflm.backend import compiled

        rows = dataclasses.replace(train, batch_size=train.batch_size // train.accumulation)
        batches = self.batches(split, model, rows, once=True)
        score = compiled(model, lambda batch: logits_of(model, batch, training=False))
        texts, logits, num_tokens = [], [], 0
        for step in range(batches.num_batches):
            batch = batches.batch(step)
            texts.append(batches.texts(step))
            logits.append(ops.convert_to_numpy(score(batch))[: len(texts[-1])].astype(np.float64))
            num_tokens += int(batch[PADDING_MASK].sum())
            if progress is not None:
                progress("evaluate", step + 1, batches.num_batches)
            if max_tokens and num_tokens >= max_tokens:
                break
        texts, logits = np.concatenate(texts), np.concatenate(logits)
        order = np.argsort(texts, kind="stable")
        return texts[order], logits[order]

    def probabilities(self, model, split, train) -> np.ndarray:
        """(N, L) float64: of each label, for every text of a split."""
        return np.exp(log_softmax(self.logits(model, split, train)[1]))

    def evaluator(self, model, train, tokenizer):
        self._tokenizer = tokenizer

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            texts, logits = self.logits(model, split, train, max_tokens, progress)
            labels = np.asarray(split.labels)[texts]
            shares = np.exp(log_softmax(logits))
            answers = logits.argmax(axis=1)
            counts = confusion_counts(labels, answers, len(self.config.labels))
            scores = average_scores(class_counts(counts))
            right = accuracy(counts)
            return {
                "error": 1 - right,
                "accuracy": right,
                "macro_f1": scores["macro"]["f1"],
                "matthews_correlation": matthews_correlation(counts),
                "calibration_error": expected_calibration_error(
                    calibration_counts(shares.max(axis=1), answers == labels)
                ),
                "loss": float(-log_softmax(logits)[np.arange(len(labels)), labels].mean()),
                "num_texts": len(labels),
                "unknown_share": split.unknown_share,
            }

        return evaluate


def logits_of(model, batch, training: bool):
    """(B, L) of a batch of TextBatches."""
    return model(batch[TOKEN_IDS], batch.get(SEGMENT_IDS), batch[PADDING_MASK], training=training)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """(N, L) float64 -> (N, L)."""
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
