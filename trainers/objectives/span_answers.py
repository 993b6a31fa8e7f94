"""The answers that a reader gives to the questions of a split.

Windows are read in buckets by length, in which those of a question do not stay together: some thousand windows of whole
questions at a time, so that the logits of no more than these are held.

Shapes: B windows, T tokens of a window, W windows of a split, N questions.
"""

from collections.abc import Iterator

import numpy as np

from tflm.data.features import PADDING_MASK, SEGMENT_IDS, TOKEN_IDS
from tflm.data.length_buckets import bucket_ends
from tflm.data.passages import FoundAnswers, best_answers
from tflm.data.questions import Question
from tflm.data.text_batches import TextBatches

WINDOWS_AT_A_TIME = 2048


def logits_of(model, batch, training: bool):
    """(B, T, 2) of a batch of TextBatches."""
    return model(batch[TOKEN_IDS], batch[SEGMENT_IDS], batch[PADDING_MASK], training=training)


class AnswerFinder:
    """`finder(split)` gives each question with the answers that were found.

    Args:
        config: SpanConfig.
        model: a span_reader.
        train: TrainConfig: how many windows at a time.
        tokenizer: the model's.
    """

    def __init__(self, config, model, train, tokenizer):
        from tflm.backend import compiled

        self._config, self._tokenizer = config, tokenizer
        self._length, self._rows = train.sequence_length, train.batch_size // train.accumulation
        self._score = compiled(model, lambda batch: logits_of(model, batch, training=False))

    def __call__(
        self, split, max_tokens: int = 0, progress=None
    ) -> Iterator[tuple[Question, FoundAnswers]]:
        """
        Args:
            split: a QuestionSplit.
            max_tokens: of the windows of the first questions, to read no more; 0 for all.
            progress: called as progress("evaluate", done, total) in windows.

        Yields:
            The questions in order, each with its answers.
        """
        lengths = split.spans(np.arange(split.num_documents))[1]
        ends = np.append(split.first_windows[1:], split.num_documents)  # (N,)
        if max_tokens:
            tokens = np.cumsum(lengths)[ends - 1]
            ends = ends[: max(int(np.searchsorted(tokens, max_tokens, side="right")), 1)]
        buckets = bucket_ends(np.bincount(lengths))  # of all: each is a shape to be compiled
        first, window = 0, 0
        while first < len(ends):
            last = int(np.searchsorted(ends, window + WINDOWS_AT_A_TIME, side="right"))
            last = max(last, first + 1)
            logits = self._logits(split.windows(first, last), buckets)
            for number in range(first, last):
                question = split.questions[number]
                count = int(ends[number]) - window
                yield question, self._answers(question, [next(logits) for _ in range(count)])
                window = int(ends[number])
            split.release_pages()
            first = last
            if progress is not None:
                progress("evaluate", window, int(ends[-1]))

    def _logits(self, windows, buckets: list[int]) -> Iterator[np.ndarray]:
        """(T or more, 2) of each window, in order."""
        from keras import ops

        frame = (self._tokenizer.pad_id, self._tokenizer.eos_id)
        batches = TextBatches(windows, frame, self._length, self._rows, None, ends=buckets)
        found = [None] * windows.num_documents
        for step in range(batches.num_batches):
            logits = ops.convert_to_numpy(self._score(batches.batch(step)))
            for window, row in zip(batches.texts(step).tolist(), logits, strict=False):
                found[window] = row
        return iter(found)

    def _answers(self, question: Question, logits: list[np.ndarray]) -> FoundAnswers:
        passage = self._config.limits.passage(self._tokenizer, question)
        starts, ends = ([row[:, column] for row in logits] for column in (0, 1))
        return best_answers(
            passage, starts, ends, self._config.n_best, self._config.max_answer_tokens
        )
