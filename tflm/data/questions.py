"""Questions about contexts, with answers that stand there, as SQuAD and CMRC 2018 publish them.

    {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", "answer_start"}]}]}]}]}
                                        SQuAD 1.1; 2.0, which has "is_impossible" and then no answer; CMRC 2018
    [{"context_text", "qas": [{"query_id", "query_text", "answers": ["text"]}]}]
                                        CMRC 2018 in its own form, without starts

A start counts characters. Where the text of an answer is not at its start, the nearest occurrence counts, and the
answer says that it was `moved`. CMRC 2018 has answers in words of their own, at -1 (193 of the 9,657 in its dev set):
where the file gives no start or -1, the first occurrence counts, else the answer has none. Nothing can be learned from
such a one, but it is as right as the others. An answer with a start that is nowhere in its context is an error that
names the file and the question, as is anything else that is wrong. A file is held in memory whole; that of SQuAD 2.0
has 42 MB.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tflm.data.corpora import DataConfig, SourceFile, files_at
from tflm.data.readers import BadFile, text_blocks
from tflm.errors import UserError

_SQUAD = {"context": "context", "id": "id", "question": "question"}
_CMRC = {"context": "context_text", "id": "query_id", "question": "query_text"}


@dataclasses.dataclass(frozen=True)
class Answer:
    """
    Attributes:
        text: the answer.
        start: `context[start : start + len(text)] == text`; None where the context has no such words.
        moved: the file says another start, or none.
    """

    text: str
    start: int | None
    moved: bool = False


@dataclasses.dataclass(frozen=True)
class Question:
    """
    Attributes:
        id: of one question in its file.
        question, context: texts, as they are.
        answers: by different people, often the same one several times; () where there is none, or none is published.
        is_impossible: the context has no answer (SQuAD 2.0).
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    is_impossible: bool = False


@dataclasses.dataclass
class QuestionCounts:
    """What a set holds; `contexts` counts runs of questions about the same one."""

    questions: int = 0
    contexts: int = 0
    answers: int = 0
    moved: int = 0
    absent: int = 0  # answers in words of their own
    impossible: int = 0
    unanswered: int = 0  # questions that are not impossible, but have no answer in the file

    @classmethod
    def of(cls, questions: Iterable[Question]) -> "QuestionCounts":
        counts, context = cls(), None
        for question in questions:
            counts.questions += 1
            counts.contexts += question.context != context
            counts.answers += len(question.answers)
            counts.moved += sum(answer.moved for answer in question.answers)
            counts.absent += sum(answer.start is None for answer in question.answers)
            counts.impossible += question.is_impossible
            counts.unanswered += not question.answers and not question.is_impossible
            context = question.context
        return counts


def questions(file: SourceFile, config: DataConfig, on_read=None) -> Iterator[Question]:
    """The questions of one file, in order.

    Args:
        file: what to read.
        config: `encoding`.
        on_read: told of the bytes read, for progress.

    Raises:
        BadFile: for a file that is no text or not of one of the two forms, and for the first question that is wrong.
    """
    if file.format == "python_docs":
        raise UserError("python_docs has no questions. Name a file of questions with --corpus.")
    text = "".join(text_blocks(file.path, file.compression, config.encoding, on_read))
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFile(
            f"{file.path} is not JSON ({error}); give questions as SQuAD has them."
        ) from error
    return _checked(file.path, _paragraphs(file.path, values))


def read_questions(path, config: DataConfig | None = None) -> list[Question]:
    """The questions of a file or folder, in order, in memory.

    Raises:
        UserError: for what cannot be read, holds no question, or has a wrong one.
    """
    config = config or DataConfig()
    found = [q for file in files_at(path, config, questions) for q in questions(file, config)]
    if not found:
        raise UserError(f"{path} holds no question. Give a file in the form of SQuAD or CMRC 2018.")
    return found


def _paragraphs(path: Path, values) -> Iterator[tuple[dict, dict]]:
    """(paragraph, the names of its keys)."""
    if isinstance(values, list):
        for paragraph in values:
            yield paragraph, _CMRC
        return
    for article in _get(path, "its top", values, "data", list):
        for paragraph in _get(path, "an article", article, "paragraphs", list):
            yield paragraph, _SQUAD


def _checked(path: Path, paragraphs) -> Iterator[Question]:
    seen = set()
    for number, (paragraph, keys) in enumerate(paragraphs, 1):
        where = f"paragraph {number}"
        context = _get(path, where, paragraph, keys["context"], str)
        for values in _get(path, where, paragraph, "qas", list):
            question_id = _get(path, f"a question of {where}", values, keys["id"], str)
            if question_id in seen:
                raise BadFile(
                    f"{path}: the question id {question_id!r} comes twice. Give each its own."
                )
            seen.add(question_id)
            yield _question(path, question_id, context, values, keys)


def _question(path: Path, question_id: str, context: str, values: dict, keys: dict) -> Question:
    where = f"question {question_id!r}"
    question = _get(path, where, values, keys["question"], str)
    impossible = _get(path, where, values, "is_impossible", bool, default=False)
    given = _get(path, where, values, "answers", list, default=[])
    if impossible and given:
        raise BadFile(f"{path}, {where}: is_impossible is true, but it has answers. Remove one.")
    answers = tuple(_answer(path, where, context, answer) for answer in given)
    return Question(question_id, question, context, answers, impossible)


def _answer(path: Path, where: str, context: str, given) -> Answer:
    text, start = given, -1
    if not isinstance(given, str):
        text = _get(path, where, given, "text", str)
        start = _get(path, where, given, "answer_start", int, default=-1)
    if text and start >= 0 and context.startswith(text, start):
        return Answer(text, start)
    places = (match.start() for match in re.finditer(f"(?={re.escape(text)})", context))
    nearest = min(places, key=lambda place: abs(place - start), default=None)
    if not text or (nearest is None and start >= 0):
        raise BadFile(
            f"{path}, {where}: the answer {text!r:.80} does not stand in the context. "
            "Mend it, or remove the question; an answer in words of its own has the start -1."
        )
    return Answer(text, nearest, moved=nearest is not None)


_NAMES = {list: "a list", str: "a string", int: "a whole number", bool: "true or false"}


def _get(path: Path, where: str, values, key: str, kind: type, default=None):
    """values[key], or the default if there is none."""
    value = values.get(key, default) if isinstance(values, dict) else None
    if type(value) is not kind:
        raise BadFile(
            f"{path}, {where}: wanted {_NAMES[kind]} as {key!r}. Received: {value!r:.60}. "
            "Give questions in the form of SQuAD or CMRC 2018."
        )
    return value
