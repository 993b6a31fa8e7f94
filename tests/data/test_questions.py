"""Questions as SQuAD and CMRC 2018 publish them."""

import json
import lzma

import pytest

from tflm.data.corpora import DataConfig, resolve
from tflm.data.questions import Answer, QuestionCounts, questions, read_questions
from tflm.errors import UserError

CONTEXT = (
    "The game was played on February 7, 2016, at Levi's Stadium in Santa Clara; the game was 50."
)


@pytest.fixture
def write(tmp_path):
    def write(values, name="set.json"):
        path = tmp_path / name
        content = values if isinstance(values, bytes) else json.dumps(values).encode()
        path.write_bytes(content)
        return path

    return write


def squad(*qas, context=CONTEXT):
    return {
        "version": "1.1",
        "data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(qas)}]}],
    }


def qa(question_id, *answers, **more):
    given = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": question_id, "question": f"{question_id}?", "answers": given, **more}


def test_squad_1(write):
    values = squad(qa("a", ("Santa Clara", 62), ("Levi's Stadium", 44)), qa("b", ("game", 79)))
    values["data"].append(
        {"title": "u", "paragraphs": [{"context": "x", "qas": [qa("c", ("x", 0))]}]}
    )
    first, second, third = read_questions(write(values))
    assert (first.id, first.question, first.context) == ("a", "a?", CONTEXT)
    assert first.answers == (Answer("Santa Clara", 62), Answer("Levi's Stadium", 44))
    assert second.answers == (Answer("game", 79),)
    assert third.context == "x"
    assert not first.is_impossible
    assert read_questions(write(lzma.compress(json.dumps(values).encode()), "set.json.xz")) == [
        first,
        second,
        third,
    ]


def test_squad_2(write):
    hopeless = qa("b", is_impossible=True, plausible_answers=[{"text": "x", "answer_start": 0}])
    found = read_questions(write(squad(qa("a", ("2016", 35), is_impossible=False), hopeless)))
    assert [q.is_impossible for q in found] == [False, True]
    assert found[1].answers == ()


def test_cmrc_as_squad(write):
    values = squad(qa("DEV_0_QUERY_0", ("踢爆", -1)), context="即为一踢爆。再踢爆。")
    values["data"][0]["paragraphs"][0]["id"] = "DEV_0"
    (found,) = read_questions(write(values))
    assert found.answers == (Answer("踢爆", 3, moved=True),)


def test_cmrc_in_its_own_form(write):
    asked = {"query_id": "Q0", "query_text": "什么？", "answers": ["踢爆", "一踢爆"]}
    values = [{"context_id": "T", "context_text": "即为一踢爆。", "title": "", "qas": [asked]}]
    (found,) = read_questions(write(values))
    assert (found.id, found.question, found.context) == ("Q0", "什么？", "即为一踢爆。")
    assert found.answers == (Answer("踢爆", 3, moved=True), Answer("一踢爆", 2, moved=True))


def test_an_answer_in_words_of_its_own(write):
    """CMRC 2018 has such at -1; one that should stand somewhere is an error, see below."""
    (found,) = read_questions(write(squad(qa("a", ("a match", -1), ("game", -1)))))
    assert found.answers == (Answer("a match", None), Answer("game", 4, moved=True))
    asked = {"query_id": "Q0", "query_text": "什么？", "answers": ["没有"]}
    (found,) = read_questions(write([{"context_text": "即为一踢爆。", "qas": [asked]}]))
    assert found.answers == (Answer("没有", None),)


@pytest.mark.parametrize(("start", "expected"), [(-1, 4), (0, 4), (40, 4), (60, 79), (999, 79)])
def test_the_nearest_occurrence_counts(write, start, expected):
    assert CONTEXT.index("game") == 4
    assert CONTEXT.rindex("game") == 79
    (found,) = read_questions(write(squad(qa("a", ("game", start)))))
    assert found.answers == (Answer("game", expected, moved=True),)


def test_occurrences_may_overlap(write):
    (found,) = read_questions(write(squad(qa("a", ("aa", 2)), context="baaac")))
    assert found.answers == (Answer("aa", 2),)
    (found,) = read_questions(write(squad(qa("a", ("aa", 3)), context="baaac")))
    assert found.answers == (Answer("aa", 2, moved=True),)


def test_counts(write):
    values = squad(
        qa("a", ("game", 4), ("game", 5), ("x", -1)), qa("b", is_impossible=True), qa("c")
    )
    values["data"][0]["paragraphs"].append({"context": "x", "qas": [qa("d", ("x", 0))]})
    counts = QuestionCounts.of(read_questions(write(values)))
    assert counts == QuestionCounts(
        questions=4, contexts=2, answers=4, moved=1, absent=1, impossible=1, unanswered=1
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (b"{", r"set.json is not JSON \(.*give questions as SQuAD has them"),
        (b"\xff", "byte 0 .*is not utf-8"),
        ({"data": []}, "holds no question. Give a file in the form of SQuAD or CMRC 2018"),
        ({}, "set.json, its top: wanted a list as 'data'. Received: None. Give questions in"),
        ({"data": [{}]}, "an article: wanted a list as 'paragraphs'. Received: None"),
        ({"data": [{"paragraphs": [{}]}]}, "paragraph 1: wanted a string as 'context'"),
        ([{"context_text": "x"}], "paragraph 1: wanted a list as 'qas'"),
        ([3], "paragraph 1: wanted a string as 'context_text'. Received: None"),
        (squad({"id": 5}), "a question of paragraph 1: wanted a string as 'id'. Received: 5"),
        (squad({"id": "q"}), "set.json, question 'q': wanted a string as 'question'"),
        (squad(qa("q", ("game", 4.5))), "question 'q': wanted a whole number as 'answer_start'"),
        (squad(qa("q", ("game", True))), "question 'q': wanted a whole number as 'answer_start'"),
        (
            squad(qa("q", ("Game", 4))),
            "set.json, question 'q': the answer 'Game' does not stand in",
        ),
        (
            squad(qa("q", ("", 4))),
            "question 'q': the answer '' does not stand in the context. Mend",
        ),
        (squad(qa("q", is_impossible="no")), "'q': wanted true or false as 'is_impossible'"),
        (squad(qa("q", ("game", 4), is_impossible=True)), "'q': is_impossible is true, but it has"),
        (squad(qa("q"), qa("q")), "set.json: the question id 'q' comes twice. Give each its own"),
    ],
)
def test_what_is_wrong(write, values, message):
    with pytest.raises(UserError, match=message):
        read_questions(write(values))


def test_the_documentation_of_python_has_no_questions():
    config = DataConfig()
    with pytest.raises(UserError, match="python_docs has no questions. Name a file .* --corpus"):
        questions(resolve(config, None)["train"].files[0], config)
