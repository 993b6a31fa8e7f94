"""Analogies against a plain loop over words, one question at a time."""

import numpy as np
import pytest

from tflm.metrics import analogies
from tflm.metrics.analogies import analogy_score, solve

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def plain_answer(words, table, question, method, ignore_case):
    """The definition, word by word, in float64."""
    table = np.asarray(table, "float64")
    table = table / np.linalg.norm(table, axis=1, keepdims=True)

    def form(word):
        return word.upper() if ignore_case else word

    def vector(word):
        return table[[form(w) for w in words].index(form(word))]

    a, b, c = (vector(word) for word in question[:3])
    best, best_score = None, -np.inf
    for word, x in zip(words, table, strict=True):
        if form(word) in [form(w) for w in question[:3]]:
            continue
        if method == "3CosAdd":
            score = x @ b + x @ c - x @ a
        else:
            score = ((x @ b + 1) / 2) * ((x @ c + 1) / 2) / ((x @ a + 1) / 2 + 0.001)
        if score > best_score:
            best, best_score = word, score
    return best


@pytest.fixture
def world():
    """Forty words, some of them in two cases, and questions that some answers of are right."""
    random = np.random.default_rng(4)
    words = [*LETTERS, "C", "A", "B", *(letter + "s" for letter in "abcdefghij"), "K"]
    plural = random.normal(size=12)
    table = random.normal(size=(len(words), 12)).astype("float32") * random.uniform(0.1, 9)
    for word in "abcdefghij":
        table[words.index(word + "s")] = (
            table[words.index(word)] + plural + 1.3 * random.normal(size=12)
        )
        if word.upper() in words:  # the nearest of all, and no answer where case is ignored
            table[words.index(word.upper())] = table[words.index(word)] * 1.01 + 0.05
    pairs = [(word, word + "s") for word in "abcdefghij"]
    gram = [(*x, *y) for x in pairs for y in pairs if x != y]
    other = [tuple(random.choice(words, 4)) for _ in range(30)] + [("a", "b", "zz", "c")]
    return words, table, {"gram1-plural": gram, "other": other}


@pytest.mark.parametrize("ignore_case", [True, False])
@pytest.mark.parametrize("restrict", [300_000, 33])
@pytest.mark.parametrize("block", [1 << 23, 250])
def test_counts_are_those_of_the_loop(world, ignore_case, restrict, block, monkeypatch):
    monkeypatch.setattr(analogies, "BLOCK_COSINES", block)  # 250: two questions at a time
    words, table, categories = world
    score = analogy_score(words, table, categories, restrict, ignore_case)
    known = words[:restrict]
    forms = {w.upper() if ignore_case else w for w in known}
    for name, questions in categories.items():
        found = [q for q in questions if all((w.upper() if ignore_case else w) in forms for w in q)]
        counts = score["categories"][name]
        assert counts["questions"] == len(questions)
        assert (counts["found"], counts["oov"]) == (len(found), len(questions) - len(found))
        for method in ("3CosAdd", "3CosMul"):
            answers = [plain_answer(known, table[:restrict], q, method, ignore_case) for q in found]
            right = [
                x.upper() == q[3].upper() if ignore_case else x == q[3]
                for x, q in zip(answers, found, strict=True)
            ]
            assert counts[method] == sum(right), (name, method)
    assert 0 < score["total"]["3CosAdd"] < score["total"]["found"]


def test_the_totals(world):
    words, table, categories = world
    categories = categories | {"gram2": categories["gram1-plural"][:7]}
    score = analogy_score(words, table, categories)
    parts = score["categories"]
    assert score["semantic"] == parts["other"]
    for key in ("questions", "found", "oov", "3CosAdd", "3CosMul"):
        syntactic = parts["gram1-plural"][key] + parts["gram2"][key]
        assert score["syntactic"][key] == syntactic
        assert score["total"][key] == syntactic + parts["other"][key]
    assert set(analogy_score(words, table, {"x": [("a", "b", "c", "d")]})) == {
        "categories",
        "total",
    }


def test_the_words_of_the_question_are_no_answer():
    # b + c - a is nearest to c itself, then to b, then to d.
    table = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0.1, 0.9]], "float32")
    answers = solve(table, np.array([[0, 1, 2]]))
    assert answers["3CosAdd"].tolist() == answers["3CosMul"].tolist() == [3]


def test_the_two_methods_differ_as_levy_and_goldberg_say():
    """3CosAdd lets one large term decide, 3CosMul balances them: by hand, with cosines set through coordinates."""
    a, b, c = np.eye(5)[:3]
    large = np.array(
        [0.0, 0.95, 0.0, np.sqrt(1 - 0.95**2), 0.0]
    )  # sum 0.95; product .975 * .5 / .501
    even = np.array([0.0, 0.45, 0.45, 0.0, np.sqrt(1 - 2 * 0.45**2)])  # 0.90; .725 ** 2 / .501
    table = np.stack([a, b, c, large, even])
    answers = solve(table, np.array([[0, 1, 2]]))
    assert answers["3CosAdd"].tolist() == [3]
    assert answers["3CosMul"].tolist() == [4]


def test_progress_and_a_set_that_is_all_unknown(world):
    words, table, categories = world
    seen = []
    analogy_score(words, table, categories, progress=lambda *values: seen.append(values))
    total = 90 + 30
    assert seen[-1] == ("analogies", total, total)
    nothing = analogy_score(words, table, {"x": [("1", "2", "3", "4")]})
    assert nothing["total"] == {"questions": 1, "found": 0, "oov": 1, "3CosAdd": 0, "3CosMul": 0}


def test_gensim_counts_the_same(world, tmp_path):
    gensim = pytest.importorskip("gensim")
    words, table, categories = world
    vectors = gensim.models.KeyedVectors(table.shape[1])
    vectors.add_vectors(words, table)
    lines = [f": x\n{chr(10).join(' '.join(q) for q in categories['gram1-plural'])}\n"]
    path = tmp_path / "questions.txt"
    path.write_text("".join(lines), encoding="utf-8")
    for ignore_case in (True, False):
        _, sections = vectors.evaluate_word_analogies(str(path), case_insensitive=ignore_case)
        score = analogy_score(
            words, table, {"x": categories["gram1-plural"]}, ignore_case=ignore_case
        )
        assert score["total"]["3CosAdd"] == len(sections[0]["correct"])
