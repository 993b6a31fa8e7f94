"""The objective tag: which label each word of a sentence has, such as where an entity begins and ends.

The loss is the cross-entropy of a word's label (Devlin et al. 2019, section 5.3), or with model.decoder=crf that of all
labels of a sentence together (Lample et al. 2016, section 2.2), in nats a word. Entities are scored as by conlleval:
one is found where its type, first and last word are right.

Shapes: B batch, W words, N sentences.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tflm.config import check_choices, check_ranges
from tflm.data.features import LABELS, PADDING_MASK, TOKEN_IDS, WEIGHTS, WORD_POSITIONS
from tflm.data.tag_schemes import CONVERSIONS, says_entities, to_bio
from tflm.data.tagged_split import TagReading
from tflm.errors import UserError
from tflm.metrics.entities import entity_scores
from trainers.objectives.labelled import LabelledConfig, LabelledObjective


@dataclasses.dataclass
class TagConfig(LabelledConfig):
    """
    Attributes:
        scheme: what the tags of the text become, "bio" or "bioes"; "": they are learnt as they are.
        window: tokens that are read of a sentence at a time, bos and eos counted; 0: train.sequence_length.
        overlap: tokens that two windows of a longer sentence share at most.
    """

    scheme: str = ""
    window: int = 0
    overlap: int = 32

    def __post_init__(self):
        check_choices(self, "objective.", scheme=CONVERSIONS)
        check_ranges(self, "objective.", window=(0, None), overlap=(0, None))

    @property
    def reading(self) -> TagReading:
        return TagReading(self.window, self.overlap, self.scheme)

    def complete(self, model_config, train) -> None:
        """Raises UserError for windows that the model does not read, or that share too much."""
        self.window = self.window or train.sequence_length
        if self.window > train.sequence_length:
            raise UserError(
                f"`objective.window` must be at most train.sequence_length={train.sequence_length}. "
                f"Received: {self.window}."
            )
        self.reading.check("objective.")


class TagObjective(LabelledObjective):
    families = ("tagger",)

    def __init__(self, config: TagConfig):
        super().__init__(config)
        self._tokenizer = None

    @property
    def score_name(self) -> str:
        return "entity_error" if not self.config.labels or self._says_entities else "error"

    @property
    def _says_entities(self) -> bool:
        return says_entities(self.config.labels)

    def training_texts(self, data, sample_bytes: int, seed: int, progress=None):
        """What the tokenizer is trained on: the sentences as running text."""
        from tflm.data.tagged import tagged_sentences
        from tflm.data.training_texts import training_texts

        return training_texts(data, sample_bytes, seed, progress=progress, read=tagged_sentences)

    def open_store(self, data, tokenizer, progress=None):
        from tflm.data.tagged_store import build_tagged_store

        return build_tagged_store(data, tokenizer, self.config.reading, progress=progress)

    def read_tokenizers(self, tokenizer, source_tokenizer) -> None:
        self._tokenizer = tokenizer

    def batches(self, split, model, train, once: bool = False):
        """With `once` each window one time, in order of length."""
        from tflm.data.tagged_batches import TaggedBatches

        return TaggedBatches(
            split,
            (self._tokenizer.pad_id, self._tokenizer.eos_id),
            train.sequence_length,
            train.batch_size,
            None if once else train.seed,
        )

    def initial_carry(self, model, batch_size: int) -> dict:
        return {}

    def loss(self, model, batch, carry):
        return _loss(model, batch, _emissions(model, batch, training=True)), carry

    def answers(self, model, split, train, max_tokens: int = 0, progress=None):
        """What the model says of the words of a split.

        Args:
            train: TrainConfig: how many windows at a time.
            max_tokens: stop when so many have been read; 0 for all.
            progress: called as progress("evaluate", done, total) in batches.

        Returns:
            For each window the labels (words that count there,) int32, None for one that was not read; and nats a word.
        """
        from keras import ops

        from tflm.backend import compiled

        def decoded(batch):
            emissions = _emissions(model, batch, training=False)
            return model.decode(emissions, batch[WEIGHTS] > 0), _loss(model, batch, emissions)

        rows = dataclasses.replace(train, batch_size=train.batch_size // train.accumulation)
        batches = self.batches(split, model, rows, once=True)
        decode = compiled(model, decoded)
        answers = [None] * split.num_documents
        nats, num_words, num_tokens = 0.0, 0, 0
        for step in range(batches.num_batches):
            batch = batches.batch(step)
            labels, loss = (ops.convert_to_numpy(value) for value in decode(batch))
            is_word = batch[WEIGHTS] > 0
            for row, window in enumerate(batches.texts(step)):
                answers[window] = labels[row][is_word[row]]
            nats += float(loss) * np.count_nonzero(is_word)
            num_words += np.count_nonzero(is_word)
            num_tokens += int(batch[PADDING_MASK].sum())
            if progress is not None:
                progress("evaluate", step + 1, batches.num_batches)
            if max_tokens and num_tokens >= max_tokens:
                break
        return answers, nats / max(num_words, 1)

    def tags(self, model, split, train) -> list[list[str]]:
        """The tags of every sentence of a split, in order."""
        answers, _ = self.answers(model, split, train)
        return [self._named(found) for _, found in by_sentence(split, answers)]

    def _named(self, label_ids) -> list[str]:
        return [self.config.labels[i] for i in label_ids]

    def evaluator(self, model, train, tokenizer):
        self._tokenizer = tokenizer

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            """The numbers; `entity_types` has those of each type of entities."""
            answers, nats = self.answers(model, split, train, max_tokens, progress)
            sentences = list(by_sentence(split, answers))
            right = sum(np.count_nonzero(true == found) for true, found in sentences)
            num_words = sum(len(true) for true, _ in sentences)
            result = {}
            if self._says_entities:
                tags = [[to_bio(self._named(ids)) for ids in sentence] for sentence in sentences]
                scores = entity_scores([true for true, _ in tags], [found for _, found in tags])
                result = {
                    "entity_error": 1 - scores["f1"],
                    **{f"entity_{name}": scores[name] for name in ("precision", "recall", "f1")},
                    "entity_types": scores["types"],
                }
            return result | {
                "error": 1 - right / num_words,
                "accuracy": right / num_words,
                "loss": nats,
                "num_sentences": len(sentences),
                "num_words": num_words,
                "unknown_share": split.unknown_share,
            }

        return evaluate


def by_sentence(split, answers: list) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The labels of the words of every sentence of which all was read, in order: the true ones, those of `answers`.

    Args:
        split: a TaggedSplit.
        answers: for each window as `TagObjective.answers` gives them.
    """
    bounds = [*map(int, split.sentence_starts), split.num_documents]
    starts = [*map(int, split.document_starts), len(split.tokens)]
    for first, end in zip(bounds, bounds[1:], strict=False):
        if all(found is not None for found in answers[first:end]):
            labels = split.labels[starts[first] : starts[end]]
            yield labels[labels >= 0], np.concatenate(answers[first:end])


def _emissions(model, batch, training: bool):
    """(B, W, L) of a batch of TaggedBatches."""
    return model(
        batch[TOKEN_IDS],
        batch[WORD_POSITIONS],
        padding_mask=batch[PADDING_MASK],
        training=training,
    )


def _loss(model, batch, emissions):
    """The mean over the words of a batch, in nats."""
    from keras import ops

    weights = batch[WEIGHTS]
    nats = model.negative_log_likelihoods(emissions, batch[LABELS], weights > 0)
    return ops.sum(nats * ops.max(weights, axis=1))  # the words of a row weigh the same
