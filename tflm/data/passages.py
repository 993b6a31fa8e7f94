"""A question and its context as a model reads them, and from what it says of each token to an answer's text.

As in BERT's run_squad.py (Devlin et al. 2019, section 4.2): a window is `bos question eos context eos` with segment
ids 0 and 1; a long context is cut into windows that begin `stride` tokens one after the other; an answer begins only in
the window where its first token has most context; what has no answer points to the window's first token. Unlike there,
tokens know their characters (`Tokenizer.encode_with_offsets`), so that an answer is cut out of the context itself, and
the best spans are the best of all, not of the best 20 starts and ends.

Shapes: T tokens of a window, N tokens of the context.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tflm.data.context_windows import most_context, windows_by_stride
from tflm.errors import UserError


@dataclasses.dataclass(frozen=True)
class PassageWindow:
    """
    Attributes:
        token_ids: (T,) int32.
        segment_ids: (T,) int32, 0 up to the question's eos, then 1.
        first, last: the context's tokens [first, last) that it holds.
        place: where in `token_ids` the first of them is.
        own: (last - first,) bool, whether a token has its most context here.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    first: int
    last: int
    place: int
    own: np.ndarray


@dataclasses.dataclass(frozen=True)
class Passage:
    """A context in the windows of one question.

    Attributes:
        context: its characters.
        offsets: (N, 2) int32, those of each token, [start, end).
        windows: at least one, in order.
    """

    context: str
    offsets: np.ndarray
    windows: tuple[PassageWindow, ...]


@dataclasses.dataclass(frozen=True)
class FoundAnswer:
    """`text` is `context[start : start + len(text)]`, `score` a sum of two logits, `probability` among those found."""

    text: str
    start: int
    score: float
    probability: float


@dataclasses.dataclass(frozen=True)
class FoundAnswers:
    """
    Attributes:
        best: with different texts, the best first; empty where the context has no token.
        no_answer: the score of there being none: the lowest of the windows', as each must have none.
    """

    best: tuple[FoundAnswer, ...]
    no_answer: float

    def text(self, threshold: float | None = None) -> str:
        """The answer; "" for none, which needs a `threshold`: how much more its score must be (SQuAD 2.0)."""
        if not self.best:
            return ""
        if threshold is not None and self.no_answer - self.best[0].score > threshold:
            return ""
        return self.best[0].text


def encode_passage(
    tokenizer,
    question: str,
    context: str,
    max_tokens: int = 384,
    stride: int = 128,
    max_question_tokens: int = 64,
) -> Passage:
    """The windows of a context for a question.

    Args:
        tokenizer: of the model; one that has `encode_with_offsets`.
        question, context: as they are.
        max_tokens: of a window, all included.
        stride: tokens from the begin of one window's part of the context to that of the next.
        max_question_tokens: the rest of the question is cut off.

    Raises:
        UserError: where no room is left for the context, and by a tokenizer that has no offsets.
    """
    question_ids = tokenizer.encode(question)[:max_question_tokens]
    ids, offsets = tokenizer.encode_with_offsets(context)
    before = [tokenizer.bos_id, *question_ids, tokenizer.eos_id]
    room = max_tokens - len(before) - 1
    if room < 1 or stride < 1:
        raise UserError(
            "A window must have room for the question and some of the context, and the next must begin behind it. "
            f"Received: {max_tokens} tokens, {len(before) + 1} of them for the question; stride {stride}."
        )
    spans = windows_by_stride(len(ids), room, stride)
    places = np.arange(len(ids))
    owner = most_context(spans, np.stack([places, places + 1], axis=1))
    windows = []
    for number, (first, last) in enumerate(spans.tolist()):
        token_ids = np.array([*before, *ids[first:last], tokenizer.eos_id], np.int32)
        segment_ids = np.zeros(len(token_ids), np.int32)
        segment_ids[len(before) :] = 1
        own = owner[first:last] == number
        windows.append(PassageWindow(token_ids, segment_ids, first, last, len(before), own))
    return Passage(context, offsets, tuple(windows))


def answer_labels(passage: Passage, start: int | None, text: str = "") -> np.ndarray:
    """(windows, 2) int32: the places of an answer's first and last token in each window, what a model learns.

    Both are 0, the window's first token, in a window that does not hold the answer whole, and in all where `start` is
    None for no answer. `start` counts characters.
    """
    labels = np.zeros((len(passage.windows), 2), np.int32)
    if start is None:
        return labels
    first = np.searchsorted(passage.offsets[:, 1], start, side="right")
    last = np.searchsorted(passage.offsets[:, 0], start + len(text), side="left") - 1
    for number, window in enumerate(passage.windows):
        if window.first <= first <= last < window.last:
            labels[number] = np.array([first, last]) - window.first + window.place
    return labels


def text_span(passage: Passage, first: int, last: int) -> tuple[int, int]:
    """[start, end) in characters of the context's tokens `first` to `last`, without white space around them."""
    start, end = int(passage.offsets[first, 0]), int(passage.offsets[last, 1])
    text = passage.context[start:end]
    start += len(text) - len(text.lstrip())
    return start, start + len(text.strip())


def best_answers(
    passage: Passage,
    start_logits: Sequence[np.ndarray],
    end_logits: Sequence[np.ndarray],
    n_best: int = 20,
    max_answer_tokens: int = 30,
) -> FoundAnswers:
    """The best answers in all windows together.

    Args:
        passage: of `encode_passage`.
        start_logits, end_logits: for each window (T,) or more, what a model says of its tokens.
        n_best: answers to find, of different texts.
        max_answer_tokens: an answer has no more.
    """
    scores, firsts, lasts, no_answer = [], [], [], np.inf
    for window, start, end in zip(passage.windows, start_logits, end_logits, strict=True):
        no_answer = min(no_answer, float(start[0]) + float(end[0]))
        tokens = slice(window.place, window.place + window.last - window.first)
        sums = _sums_of_spans(start[tokens], end[tokens], max_answer_tokens)
        sums[~window.own] = -np.inf  # it has more context elsewhere
        begin, length = np.nonzero(np.isfinite(sums))
        scores.append(sums[begin, length])
        firsts.append(begin + window.first)
        lasts.append(begin + length + window.first)
    scores, firsts, lasts = map(np.concatenate, (scores, firsts, lasts))
    chosen = {}  # text -> (start, score)
    for i in np.argsort(-scores, kind="stable"):
        start, end = text_span(passage, firsts[i], lasts[i])
        if end > start:
            chosen.setdefault(passage.context[start:end], (start, float(scores[i])))
        if len(chosen) == n_best:
            break
    weights = np.exp([score - scores.max() for _, score in chosen.values()])
    best = (
        FoundAnswer(text, start, score, float(weight / weights.sum()))
        for (text, (start, score)), weight in zip(chosen.items(), weights, strict=True)
    )
    return FoundAnswers(tuple(best), no_answer)


def _sums_of_spans(start: np.ndarray, end: np.ndarray, longest: int) -> np.ndarray:
    """(N, longest) float64: of the span from token i on that has j + 1 tokens; -inf behind the end."""
    behind = np.full(longest - 1, -np.inf)
    ends = np.concatenate([np.asarray(end, np.float64), behind])
    if not len(start):
        return np.zeros((0, longest))
    ends = np.lib.stride_tricks.sliding_window_view(ends, longest)
    return np.asarray(start, np.float64)[:, None] + ends
