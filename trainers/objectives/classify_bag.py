"""Which label a text has, by a linear classifier over its bag of rows: fastText's supervised training.

Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification"; the arithmetic is that of fastText's model.cc and
loss.cc. Of a text with the rows r (n of them), h = mean_r(A_r), p = softmax(B h) and the learning rate e:

    B += e (onehot(label) - p) h^T
    A_r += e (onehot(label) - p) B / n        for each r; B as it was before

fastText makes such a step for every text. Here the steps of `chunk_texts` texts are added up, chunk after chunk. Every
text changes the rows of B, so that large chunks diverge at fastText's learning rates.

Shapes: E texts a batch, B texts a chunk, W rows a chunk, L labels, D hidden.
"""

import dataclasses

import numpy as np
from keras import ops

from tflm.backend import add_rows, compiled
from tflm.config import check_ranges
from tflm.data.bag_batches import (
    CHUNK_ROWS,
    CHUNK_TEXTS,
    NUM_CHUNKS,
    ROW_IDS,
    SCALES,
    TEXTS,
    WINDOW,
    BagBatches,
)
from tflm.data.features import LABELS
from tflm.metrics.classification import accuracy, confusion_counts
from tflm.metrics.cross_entropy import cross_entropy
from tflm.text.ngrams import text_bags
from trainers.objectives.labelled import LabelledConfig, LabelledObjective


@dataclasses.dataclass
class ClassifyBagConfig(LabelledConfig):
    """
    Attributes:
        chunk_texts: texts whose updates are added up.
    """

    chunk_texts: int = 16

    def __post_init__(self):
        check_ranges(self, chunk_texts=(1, None))


class ClassifyBagObjective(LabelledObjective):
    families = ("fasttext_classifier",)
    optimizer = "sgd"

    def batches(self, split, model, train):
        return BagBatches(
            split,
            text_bags(model.config, model.pieces),
            train.batch_size,
            self.config.chunk_texts,
            train.seed,
        )

    def slots(self, model) -> dict:
        return {}

    def update(self, tables, slots, batch, learning_rate):
        """The tables after the chunks of a batch of `BagBatches`, and the mean loss of its texts."""

        def learn(k, state):
            table, output, total = state
            chunk = _Chunk(batch, k)
            hidden = chunk.hidden(table)
            logits = ops.matmul(hidden, ops.transpose(output))  # (B, L)
            wanted = ops.one_hot(chunk.labels, output.shape[0])
            errors = learning_rate * chunk.is_text[:, None] * (wanted - ops.softmax(logits))
            gradients = ops.matmul(errors, output) * chunk.scales[:, None]  # (B, D)
            output = output + ops.matmul(ops.transpose(errors), hidden)
            table = add_rows(table, chunk.row_ids, chunk.to_rows(gradients))
            losses = chunk.is_text * cross_entropy(logits, chunk.labels)
            return table, output, total + ops.sum(losses)

        state = (tables["input"], tables["output"], ops.zeros((), "float32"))
        table, output, total = ops.fori_loop(0, batch[NUM_CHUNKS][0], learn, state)
        num_texts = ops.cast(batch[CHUNK_TEXTS][-1], "float32")
        return total / num_texts, {"input": table, "output": output}, slots

    def probabilities(self, model, split, train) -> np.ndarray:
        """(N, L) float64: of each label, for every text of a split."""
        batches = BagBatches(
            split,
            text_bags(model.config, model.pieces),
            min(train.batch_size, split.num_documents),
            self.config.chunk_texts,
            seed=None,
        )
        score = compiled(model, lambda batch: logits_of(model.tables(), batch))
        parts = []
        for step in range(batches.num_batches):
            batch = batches.batch(step)
            parts.append(ops.convert_to_numpy(score(batch))[: batch[CHUNK_TEXTS][-1]])
        logits = np.concatenate(parts).astype(np.float64)
        return np.exp(logits - _log_sum_exp(logits)[:, None])

    def evaluator(self, model, train, tokenizer):
        del tokenizer
        score = compiled(model, lambda batch: logits_of(model.tables(), batch))

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            batches = BagBatches(
                split,
                text_bags(model.config, model.pieces),
                train.batch_size,
                self.config.chunk_texts,
                seed=None,
            )
            # A part of the split's texts is taken to have its share of the tokens; only during training.
            share = min(1.0, max_tokens / len(split.tokens)) if max_tokens else 1.0
            num_batches = max(round(batches.num_batches * share), 1)
            num_labels = len(self.config.labels)
            nats, counts = 0.0, np.zeros((num_labels, num_labels), np.int64)
            for step in range(num_batches):
                batch = batches.batch(step)
                num_texts = int(batch[CHUNK_TEXTS][-1])
                labels = batch[LABELS][:num_texts]
                logits = ops.convert_to_numpy(score(batch))[:num_texts].astype(np.float64)
                nats += float(np.sum(_log_sum_exp(logits) - logits[np.arange(num_texts), labels]))
                counts += confusion_counts(labels, logits.argmax(axis=1), num_labels)
                if progress is not None:
                    progress("evaluate", step + 1, num_batches)
            right = accuracy(counts)
            num_texts = int(counts.sum())
            return {
                "error": 1 - right,
                "accuracy": right,
                "loss": nats / num_texts,
                "num_texts": num_texts,
                "unknown_share": split.unknown_share,
            }

        return evaluate


def logits_of(tables, batch):
    """(E, L) of a batch of `BagBatches`; what stands behind its last text means nothing."""
    size, num_labels = batch[CHUNK_ROWS].shape[0], tables["output"].shape[0]
    output = ops.transpose(ops.convert_to_tensor(tables["output"]))
    table = ops.convert_to_tensor(tables["input"])

    def answer(k, logits):
        chunk = _Chunk(batch, k)
        # What a chunk writes behind its last text, the next one overwrites.
        return ops.slice_update(logits, (chunk.first, 0), ops.matmul(chunk.hidden(table), output))

    logits = ops.zeros((batch[LABELS].shape[0], num_labels), "float32")
    return ops.fori_loop(0, batch[NUM_CHUNKS][0], answer, logits)[:size]


class _Chunk:
    """Chunk k of a batch.

    Attributes:
        first: the first of its texts.
        row_ids: (W,); the last may be the next chunk's.
        labels, scales, is_text: (B,), the last two 0 where there is no text.
    """

    def __init__(self, batch: dict, k):
        size = batch[LABELS].shape[0] - batch[CHUNK_ROWS].shape[0]
        self.first = batch[CHUNK_TEXTS][k]
        count = batch[CHUNK_TEXTS][k + 1] - self.first
        # Not ops.slice: XLA under TensorFlow compiles anew for every value that decides where it begins.
        window = batch[CHUNK_ROWS][k] + batch[WINDOW]
        self.row_ids = ops.take(batch[ROW_IDS], window)
        owners = ops.take(batch[TEXTS], window) - self.first
        self.owners = ops.where(owners < count, owners, size)  # (W,), B for none
        places = ops.arange(size, dtype="int32")
        self.is_text = ops.cast(places < count, "float32")
        self.labels = ops.take(batch[LABELS], self.first + places)
        self.scales = ops.take(batch[SCALES], self.first + places) * self.is_text

    def hidden(self, table):
        """The mean of each text's rows: (B, D)."""
        rows = ops.take(table, self.row_ids, axis=0)
        sums = ops.segment_sum(rows, self.owners, self.labels.shape[0] + 1)[:-1]
        return sums * self.scales[:, None]

    def to_rows(self, values):
        """(B, D) -> (W, D), each row its text's value; 0 where it has none."""
        return ops.take(ops.pad(values, ((0, 1), (0, 0))), self.owners, axis=0)


def _log_sum_exp(logits: np.ndarray) -> np.ndarray:
    highest = logits.max(axis=1)
    return highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
