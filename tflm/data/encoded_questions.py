"""Questions as windows of token ids, a batch at a time: what a worker process does.

Shapes: N questions, W windows of them.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence

import numpy as np

from tflm.data.encode import COUNTS, EncodedBatch, hash_documents, token_dtype
from tflm.data.passages import Passage, answer_labels, encode_passage
from tflm.data.questions import Answer, Question
from tflm.data.store import release_pages

ADDED_TOKENS = 3  # of a window: bos, and the two eos


@dataclasses.dataclass(frozen=True)
class WindowLimits:
    """
    Attributes:
        window_tokens: of a window, all included.
        doc_stride: tokens from the begin of one window's part of the context to that of the next.
        max_question_tokens: the rest of a question is cut off.
    """

    window_tokens: int = 384
    doc_stride: int = 128
    max_question_tokens: int = 64

    def passage(self, tokenizer, question: Question) -> Passage:
        """The windows of a question."""
        return encode_passage(
            tokenizer,
            question.question,
            question.context,
            self.window_tokens,
            self.doc_stride,
            self.max_question_tokens,
        )


@dataclasses.dataclass
class EncodedQuestions:
    """
    Attributes:
        windows: each a document; the texts' own counts are at the first window of a question.
        segment_starts: (W,) int32, which token of a window is the context's first.
        labels: (W, 2) int32, as `passages.answer_labels` gives them.
        num_windows: (N,) int64, of each question.
        hashes: (N,) uint64, of the contexts.
        teaches: (N,) bool, whether it is known where the answer stands, or that there is none.
        lines: (N,), the questions as JSON.
    """

    windows: EncodedBatch
    segment_starts: np.ndarray
    labels: np.ndarray
    num_windows: np.ndarray
    hashes: np.ndarray
    teaches: np.ndarray
    lines: list[bytes]

    def only(self, keep: np.ndarray) -> "EncodedQuestions":
        """The questions that `keep`, bool (N,), says."""
        if keep.all():
            return self
        windows = np.repeat(keep, self.num_windows)
        return EncodedQuestions(
            self.windows.only(windows),
            self.segment_starts[windows],
            self.labels[windows],
            self.num_windows[keep],
            self.hashes[keep],
            self.teaches[keep],
            [line for line, kept in zip(self.lines, keep, strict=True) if kept],
        )


def encode_questions(
    tokenizer, limits: WindowLimits, questions: Sequence[Question]
) -> EncodedQuestions:
    """The windows of at least one question.

    What is learned is the first answer that stands in the context; see `passages.answer_labels` for windows without it.
    """
    passages = [limits.passage(tokenizer, question) for question in questions]
    learned = [
        next((answer for answer in question.answers if answer.start is not None), None)
        for question in questions
    ]
    labels = [
        answer_labels(passage, None)
        if answer is None
        else answer_labels(passage, answer.start, answer.text)
        for passage, answer in zip(passages, learned, strict=True)
    ]
    windows = [window for passage in passages for window in passage.windows]
    num_windows = np.array([len(passage.windows) for passage in passages], np.int64)
    contexts = hash_documents([question.context for question in questions])
    counts = np.zeros((len(windows), len(COUNTS)), np.int64)
    counts[np.cumsum(num_windows) - num_windows, :3] = [_counts(question) for question in questions]
    counts[:, 3] = [np.count_nonzero(w.token_ids == tokenizer.unk_id) for w in windows]
    encoded = EncodedBatch(
        tokens=np.concatenate([w.token_ids for w in windows]).astype(
            token_dtype(tokenizer.vocabulary_size)
        ),
        lengths=np.array([len(w.token_ids) for w in windows], np.int64),
        hashes=np.repeat(contexts, num_windows),
        counts=counts,
    )
    return EncodedQuestions(
        encoded,
        np.array([w.place for w in windows], np.int32),
        np.concatenate(labels),
        num_windows,
        contexts,
        np.array(
            [a is not None or q.is_impossible for a, q in zip(learned, questions, strict=True)]
        ),
        [line_of(question) for question in questions],
    )


def _counts(question: Question) -> list[int]:
    """Bytes, characters and words."""
    texts = (question.question, question.context)
    return [
        sum(len(text.encode("utf-8")) for text in texts),
        sum(map(len, texts)),
        sum(len(text.split()) for text in texts),
    ]


def line_of(question: Question) -> bytes:
    """A question as a line of JSON."""
    text = json.dumps(dataclasses.asdict(question), ensure_ascii=False) + "\n"
    # An answer in words of its own may be no Unicode.
    return text.encode("utf-8", "surrogatepass")


class QuestionLines(Sequence):
    """Questions, each read from its line when it is asked for.

    Args:
        data: uint8, the lines.
        starts: (N,) int64, where each begins.
    """

    def __init__(self, data: np.ndarray, starts: np.ndarray):
        self._data, self._starts = data, starts

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, i: int) -> Question:
        if not 0 <= i < len(self):
            raise IndexError(i)
        end = self._starts[i + 1] if i + 1 < len(self) else len(self._data)
        line = self._data[self._starts[i] : end].tobytes()
        values = json.loads(line.decode("utf-8", "surrogatepass"))
        answers = tuple(Answer(**answer) for answer in values.pop("answers"))
        return Question(**values, answers=answers)

    def part(self, first: int, last: int) -> Iterator[Question]:
        """Questions `first` to `last` - 1."""
        return (self[i] for i in range(first, last))

    def release_pages(self):
        """Gives back the memory of what was read so far."""
        release_pages(self._data)
