"""Questions and contexts as windows, and answers out of logits: beside run_squad.py's own loops."""

import numpy as np
import pytest

from tests.data.run_squad import run_squad_answers, run_squad_windows
from tflm.data.passages import answer_labels, best_answers, encode_passage, text_span
from tflm.errors import UserError
from tflm.text.tokenizer import TokenizerConfig, train

CONTEXT = (
    "The game was played on February 7, 2016, at Levi's Stadium in the San Francisco Bay Area at Santa Clara.\n"
    "《战国无双3》是由光荣和ω-force开发的系列。 The Café e\u0301 cost 50\u00a0%."
)
QUESTION = "Where was the game played?"
CONFIGS = {
    "byte": TokenizerConfig(kind="byte"),
    "character": TokenizerConfig(kind="character"),
    "word": TokenizerConfig(kind="word", normalization=("nfkc", "lowercase")),
    "sentencepiece": TokenizerConfig(vocabulary_size=360),
    "normalized": TokenizerConfig(vocabulary_size=360, normalization=("nfkc", "lowercase")),
}


@pytest.fixture(scope="module", params=CONFIGS)
def tokenizer(request):
    return train(CONFIGS[request.param], [CONTEXT, QUESTION] * 20)


def test_a_context_that_fits_is_one_window(tokenizer):
    passage = encode_passage(tokenizer, QUESTION, CONTEXT, max_tokens=500)
    question, context = tokenizer.encode(QUESTION), tokenizer.encode(CONTEXT)
    (window,) = passage.windows
    assert window.token_ids.tolist() == [2, *question, 3, *context, 3]
    assert window.segment_ids.tolist() == [0] * (len(question) + 2) + [1] * (len(context) + 1)
    assert (window.first, window.last, window.place) == (0, len(context), len(question) + 2)
    assert window.own.all()
    assert len(passage.offsets) == len(context)


@pytest.mark.parametrize("stride", [1, 5, 8, 100])
def test_windows_are_those_of_run_squad(tokenizer, stride):
    ids = tokenizer.encode(CONTEXT)
    passage = encode_passage(tokenizer, QUESTION, CONTEXT, 4 + 3 + 20, stride, 4)
    spans, best = run_squad_windows(len(ids), 20, stride)
    assert [(w.first, w.last - w.first) for w in passage.windows] == spans
    for number, window in enumerate(passage.windows):
        assert len(window.token_ids) == 7 + window.last - window.first
        assert window.token_ids[1:5].tolist() == tokenizer.encode(QUESTION)[:4]
        assert window.token_ids[window.place : -1].tolist() == ids[window.first : window.last]
        assert window.own.tolist() == [best[t] == number for t in range(window.first, window.last)]


ANSWERS = ("The", "Levi's Stadium", "Santa Clara", "光荣和ω-force", "Café e\u0301", "%", "2016")


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_to_tokens_and_back(tokenizer, text):
    """Its tokens are all that touch it; back come its very characters where its tokens hold no others."""
    start = CONTEXT.index(text)
    end = start + len(text)
    passage = encode_passage(tokenizer, QUESTION, CONTEXT, 70, 20, 4)
    touch = [t for t, (a, b) in enumerate(passage.offsets.tolist()) if a < end and b > start]
    labels = answer_labels(passage, start, text)
    assert labels.any()
    for window, places in zip(passage.windows, labels.tolist(), strict=True):
        whole = window.first <= touch[0] and touch[-1] < window.last
        shift = window.place - window.first
        assert places == ([touch[0] + shift, touch[-1] + shift] if whole else [0, 0])
    found = slice(*text_span(passage, touch[0], touch[-1]))
    assert text in CONTEXT[found]
    assert CONTEXT[found] == CONTEXT[found].strip()
    assert CONTEXT[found] == text or tokenizer.kind not in ("byte", "character")


def test_no_answer_points_to_the_first_token(tokenizer):
    passage = encode_passage(tokenizer, QUESTION, CONTEXT, 70, 20, 4)
    assert not answer_labels(passage, None).any()
    assert not answer_labels(encode_passage(tokenizer, QUESTION, ""), 0, "x").any()


def logits(passage, seed: int):
    source = np.random.default_rng(seed)
    lengths = [len(window.token_ids) for window in passage.windows]
    return [[source.normal(size=n).astype(np.float32) for n in lengths] for _ in range(2)]


@pytest.mark.parametrize(("max_tokens", "stride"), [(500, 128), (40, 11), (30, 1)])
def test_the_best_answers_are_those_of_run_squad(tokenizer, max_tokens, stride):
    passage = encode_passage(tokenizer, QUESTION, CONTEXT, max_tokens, stride, 4)
    for seed in range(3):
        starts, ends = logits(passage, seed)
        best, probabilities, null = run_squad_answers(passage, starts, ends, 10, 7)
        found = best_answers(passage, starts, ends, n_best=10, max_answer_tokens=7)
        assert [answer.text for answer in found.best] == [text for text, _ in best]
        np.testing.assert_allclose([a.score for a in found.best], [s for _, s in best], rtol=1e-6)
        np.testing.assert_allclose([a.probability for a in found.best], probabilities, rtol=1e-5)
        assert found.no_answer == pytest.approx(null)
        for answer in found.best:
            assert CONTEXT.startswith(answer.text, answer.start)


def test_a_sure_model_gives_the_answer_itself():
    """Logits that point to the labels give back the characters; also beside padding."""
    tokenizer = train(CONFIGS["byte"], [])
    passage = encode_passage(tokenizer, QUESTION, CONTEXT, 80, 20, 4)
    text = "光荣和ω-force"
    starts, ends = ([np.zeros(100, np.float32) for _ in passage.windows] for _ in range(2))
    for number, (first, last) in enumerate(answer_labels(passage, CONTEXT.index(text), text)):
        if first:
            starts[number][first] += 5
            ends[number][last] += 5
    found = best_answers(passage, starts, ends)
    assert found.best[0].text == text
    assert found.best[0].start == CONTEXT.index(text)
    assert found.text() == text


def test_no_answer_needs_a_threshold():
    tokenizer = train(CONFIGS["byte"], [])
    passage = encode_passage(tokenizer, "?", "ab")
    (window,) = passage.windows
    start, end = np.zeros(len(window.token_ids)), np.zeros(len(window.token_ids))
    start[0], end[0], start[window.place] = 2.0, 1.0, 1.0
    found = best_answers(passage, [start], [end])
    assert (found.no_answer, found.best[0].score) == (3.0, 1.0)
    assert found.text() == found.text(threshold=2.0) == found.best[0].text
    assert found.text(threshold=1.9) == ""


def test_a_context_without_tokens_has_no_answer(tokenizer):
    passage = encode_passage(tokenizer, QUESTION, "")
    (window,) = passage.windows
    zeros = np.zeros(len(window.token_ids))
    found = best_answers(passage, [zeros], [zeros])
    assert found.best == ()
    assert found.text() == ""


def test_impossible_windows():
    tokenizer = train(CONFIGS["byte"], [])
    message = "room for the question .* Received: 20 tokens, 20 of them for the question; stride 5"
    with pytest.raises(UserError, match=message):
        encode_passage(tokenizer, "x" * 17, CONTEXT, 20, 5)
    with pytest.raises(UserError, match="stride 0"):
        encode_passage(tokenizer, "x", CONTEXT, 20, 0)
