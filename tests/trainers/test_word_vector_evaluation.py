"""What `evaluate` says of word vectors, of a run and of a file, against scipy and sums by hand."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from tests.programs import run_program
from tflm.errors import UserError
from tflm.vectors import WordVectors
from tflm.vectors.of_run import of_run
from trainers.evaluation import results, word_tables
from trainers.evaluation.word_vectors import WordTasks, evaluate, read_tasks

PAIRS = [
    ("Cat", "dog", 7.0),
    ("sea", "road", 4.0),
    ("captain", "house", 1.5),
    ("letter", "old", 2.0),
]
TEXTS = ["the cat sees two birds", "a small cat hears birds", "the red house", "a house , the road"]
LABELS = ["animal", "animal", "place", "place"]


@pytest.fixture
def files(tmp_path):
    """A similarity set, an analogy set and labelled texts on the words of the tiny corpus."""
    pairs = [f"{a},{b},{score}" for a, b, score in [*PAIRS, ("zebra", "dog", 6)]]
    labelled = [f"{label}\t{text}" for label, text in zip(LABELS, TEXTS, strict=True)]
    contents = {
        "pairs.csv": ["Word 1,Word 2,Human (mean)", *pairs],
        "questions.txt": [
            ": animals",
            "cat dog sees hears",
            "Dog Cat hears sees",
            "cat dog zebra x",
            ": gram",
            "the a my the",
        ],
        "train.tsv": labelled * 4,
        "test.tsv": [*labelled, "place\tzzz"],
    }
    for name, lines in contents.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def vectors():
    """Words at known angles, with lengths that a plain product would follow."""
    angles = np.radians([0, 10, 25, 90, 100, 180])
    table = ([1, 5, 0.2, 3, 9, 1] * np.array([np.cos(angles), np.sin(angles)])).T
    return WordVectors(["cat", "dog", "us", "US", "birds", "house"], table.astype("float32"))


# The tokens of `gpt` are subwords of a few letters.
@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("vectors", PAIRS),
        ("gpt", [("ca", "fo", 7.0), ("Se", "re", 4.0), ("ho", "ain", 1.5), ("世", "ca", 2.0)]),
    ],
)
def test_a_run(tiny_runs, files, name, pairs):
    from tflm import run as runs

    run = runs.load(tiny_runs[name])
    tasks = WordTasks(
        similarity={"mine": [*pairs, ("zebra", "dog", 6)]},
        analogies=read_tasks(analogy_files=[files / "questions.txt"]).analogies,
    )
    result = results.evaluate(tiny_runs[name], split=None, tasks=tasks)
    assert set(result) == {"run_dir", "step", "word_vectors"}
    score = result["word_vectors"]["similarity"]["mine"]
    table = np.asarray(run.model.embeddings(), "float64")
    cosines, scores = [], []
    for first, second, wanted in pairs:
        one, other = (table[token_id(run.tokenizer, word.lower())] for word in (first, second))
        cosines.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
        scores.append(wanted)
    assert (score["found"], score["oov"]) == (4, 1)
    assert score["spearman"] == pytest.approx(stats.spearmanr(cosines, scores)[0])
    assert score["pearson"] == pytest.approx(stats.pearsonr(cosines, scores)[0], abs=1e-5)
    counts = result["word_vectors"]["analogies"][str(files / "questions.txt")]
    assert counts["categories"]["animals"]["questions"] == 3
    assert counts["syntactic"]["questions"] == 1


def token_id(tokenizer, word: str) -> int:
    """Of the token with SentencePiece's mark where there is one."""
    marked = tokenizer.token_id("\u2581" + word)
    return tokenizer.token_id(word) if marked is None else marked


def test_the_words_of_a_run(tiny_runs):
    from tflm import run as runs

    run = runs.load(tiny_runs["vectors"])
    vectors = of_run(run)
    assert (
        vectors.words == run.tokenizer.pieces
    )  # of a word tokenizer every piece, none of <pad> to </s>
    np.testing.assert_array_equal(vectors.table, np.asarray(run.model.embeddings())[4:])


def test_the_words_of_subwords():
    """A word is the piece with SentencePiece's mark; the first of two that are the same word counts."""

    @dataclasses.dataclass
    class Subwords:
        special_ids = (0, 1, 2, 3)
        pieces: tuple = (
            "<pad>",
            "<unk>",
            "<s>",
            "</s>",
            "\u2581",
            "ing",
            "cat",
            "\u2581cat",
            "世界",
        )
        vocabulary_size: int = 9

        def piece(self, token_id):
            return self.pieces[token_id]

    table = np.arange(18, dtype="float32").reshape(9, 2)
    model = type("Model", (), {"embeddings": lambda self: table})()
    run = type("Run", (), {"tokenizer": Subwords(), "model": model})()
    vectors = of_run(run)
    assert vectors.words == ["ing", "cat", "世界"]
    np.testing.assert_array_equal(vectors.table, table[[5, 7, 8]])


def test_nearest_words_by_hand(vectors):
    tasks = WordTasks(nearest=["Cat", "us", "nothing"])
    found = evaluate(vectors, tasks)["nearest"]
    expected = [("dog", 10), ("us", 25), ("US", 90), ("birds", 100), ("house", 180)]
    assert [word for word, _ in found["Cat"]] == [word for word, _ in expected]
    cosines = [cosine for _, cosine in found["Cat"]]
    np.testing.assert_allclose(cosines, np.cos(np.radians([a for _, a in expected])), atol=1e-6)
    assert [word for word, _ in found["us"]] == ["dog", "cat", "US", "birds", "house"]
    assert found["nothing"] is None
    assert evaluate(vectors, WordTasks(nearest=["Cat"], ignore_case=False))["nearest"] == {
        "Cat": None
    }
    lines = word_tables.neighbour_lines(found)
    assert lines[0] == "Cat:                  dog 0.98, us 0.91, US 0.00, birds -0.17, house -1.00"
    assert lines[2] == "nothing:              not a word of the vectors"


def test_only_the_first_words_count(vectors):
    tasks = WordTasks(similarity={"x": [("cat", "dog", 3), ("cat", "house", 1)]}, limit=2)
    result = evaluate(vectors, tasks)
    assert (result["words"], result["known_words"], result["dim"]) == (2, 6, 2)
    assert result["similarity"]["x"]["oov"] == 1
    assert "2 of 6 (--limit), 2 dimensions" in word_tables.renderables(result)[0]


def test_a_probe_of_a_file_and_of_a_run(tiny_runs, files, vectors):
    tasks = read_tasks(probe_files=(files / "train.tsv", files / "test.tsv"))
    probe = evaluate(vectors, tasks)["probe"]
    # By hand: cat and birds on one side, house on the other; a text of unknown words is one in five.
    assert probe["accuracy"] >= 0.8
    assert probe["known_words"] == pytest.approx(6 / 19)
    assert (probe["test_unknown"], probe["train_unknown"], probe["classes"]) == (1, 0, 2)
    of_a_run = results.evaluate(tiny_runs["vectors"], split=None, tasks=tasks)
    probe = of_a_run["word_vectors"]["probe"]
    assert probe["accuracy"] >= 0.8 and probe["known_words"] == pytest.approx(17 / 19)


def test_labels_that_were_never_learned(files):
    (files / "test.tsv").write_text("plant\ta tree\nplace\ta road\n", encoding="utf-8")
    with pytest.raises(
        UserError, match="test.tsv has labels that .*train.tsv has not: plant. Give"
    ):
        read_tasks(probe_files=(files / "train.tsv", files / "test.tsv"))


def test_numbers_that_are_not_finite_are_null_however_deep():
    result = {
        "word_vectors": {"similarity": {"x": {"spearman": float("nan")}}, "nearest": [["a", 1.0]]}
    }
    values = json.loads(results.json_of(result))
    assert values == {
        "word_vectors": {"similarity": {"x": {"spearman": None}}, "nearest": [["a", 1.0]]}
    }


def write_text(vectors, path):
    rows = (
        f"{word} {' '.join(map(repr, map(float, row)))}"
        for word, row in zip(vectors.words, vectors.table, strict=True)
    )
    path.write_text(f"{len(vectors.words)} 2\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_the_program_on_a_file(files, vectors):
    path, output = write_text(vectors, files / "vectors.txt"), files / "out.json"
    done = run_program(
        "trainers.evaluate",
        f"--vectors={path}",
        f"--similarity={files / 'pairs.csv'}",
        f"--analogies={files / 'questions.txt'}",
        f"--probe_train={files / 'train.tsv'}",
        f"--probe_test={files / 'test.tsv'}",
        "--nearest=cat, zebra",
        f"--output={output}",
    )
    assert done.code == 0, done.err
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert f"vectors: {path}" in lines
    assert "words: 6, 2 dimensions" in lines
    assert "similarity Spearman OOV as 0 Pearson pairs found OOV" in lines
    # One pair found: there is nothing to rank.
    zeros = stats.spearmanr([np.cos(np.radians(10)), 0, 0, 0, 0], [7, 4, 1.5, 2, 6])[0]
    assert f"pairs.csv – {zeros:.4f} – 5 1 4" in lines
    assert "animals – – 3 0 3" in lines and "total – – 4 0 4" in lines
    assert any(line.startswith("cat: dog 0.98, us 0.91") for line in lines)
    assert "zebra: not a word of the vectors" in lines
    values = json.loads(output.read_text(encoding="utf-8"))
    assert values["vectors"] == str(path)
    score = values["word_vectors"]["similarity"][str(files / "pairs.csv")]
    assert (score["spearman"], score["found"], score["oov"]) == (None, 1, 4)
    assert values["word_vectors"]["nearest"]["zebra"] is None


def test_the_program_on_a_run_with_its_text(tiny_runs, files):
    pairs = f"--similarity={files / 'pairs.csv'}"
    done = run_program("trainers.evaluate", f"--run_dir={tiny_runs['vectors']}", pairs)
    assert done.code == 0, done.err
    assert "pairs.csv" in done.out and "loss:" not in done.out
    done = run_program(
        "trainers.evaluate", f"--run_dir={tiny_runs['vectors']}", pairs, "--split=test"
    )
    assert done.code == 0, done.err
    assert "pairs.csv" in done.out and "loss:" in done.out and "captain:" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run_dir=x", "--vectors=y"], "--run_dir and --vectors cannot both be given"),
        (["--vectors=y"], "There is nothing to measure of --vectors. Give --similarity"),
        (["--vectors=y", "--nearest=a", "--split=test"], "--split is for a run"),
        (["--vectors=y", "--nearest=a", "--file=z"], "--file is for a run"),
        (["--vectors=y", "--probe_train=a"], "--probe_train needs --probe_test beside it"),
        (["--run_dir=x", "--probe_test=a"], "--probe_test needs --probe_train beside it"),
        (["--run_dir=x", "--similarity=,"], "--similarity is empty"),
        (["--run_dir=x", "--nearest=a", "--word_split=jieba"], "--word_split is for --vectors"),
        (["--run_dir=x", "--similarity=/nowhere.tsv"], "Cannot read /nowhere.tsv: No such file"),
        (["--vectors=/nowhere.bin", "--nearest=a"], "/nowhere.bin"),
        (["--vectors=y", "--limit=0", "--nearest=a"], "--limit"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, message):
    done = run_program("trainers.evaluate", *arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1 and done.err.startswith("error: ")
    assert message in done.err


def test_a_wrong_row_is_named_before_anything_is_loaded(files):
    wrong = files / "wrong.txt"
    wrong.write_text(": x\na b c\n", encoding="utf-8")
    done = run_program("trainers.evaluate", "--run_dir=/nowhere", f"--analogies={wrong}")
    assert done.code == 2
    assert done.err == f"error: {wrong}, line 2: wanted four words. Received: 'a b c'.\n"
