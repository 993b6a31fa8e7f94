"""fastText's classifier: its arithmetic against loops in float64, and a training seen from outside."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from keras import ops

from tests.data.fake_tokenizer import ByteTokenizer
from tests.programs import program_in_process, run_program
from tflm import models, run
from tflm.data.bag_batches import BagBatches
from tflm.data.corpora import DataConfig
from tflm.data.labelled_store import unlabelled_split
from tflm.errors import UserError
from tflm.models.fasttext_classifier import FastTextClassifierConfig
from tflm.text.ngrams import text_bags
from tflm.text.tokenizer import TokenizerConfig
from trainers import experiment as experiments
from trainers import fit, objectives
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.classify_bag import ClassifyBagConfig
from trainers.run_differences import differences_of

RATE = 0.5
PIECES = ["<pad>", "<unk>", "<s>", "</s>"] + [chr(i) for i in range(256)]
MODEL = FastTextClassifierConfig(
    vocabulary_size=260, num_labels=3, hidden_dim=6, word_ngrams=3, buckets=50
)
NICE = ["good", "fine", "great", "lovely"]
POOR = ["bad", "awful", "poor", "dull"]


def set_up(chunk_texts: int, count: int = 23):
    model = models.build(MODEL)
    model.read_vocabulary(PIECES)
    random = np.random.default_rng(0)
    for variable in model.tables().values():
        variable.assign(random.normal(0, 0.8, variable.shape))
    texts = ["".join(random.choice(list("abcdef"), random.integers(1, 15))) for _ in range(count)]
    split = unlabelled_split(texts, ByteTokenizer())
    split.labels[:] = random.integers(0, 3, count)
    config = ClassifyBagConfig(labels=("a", "b", "c"), chunk_texts=chunk_texts)
    return objectives.build(config), model, split


def rows_of(split, i: int) -> np.ndarray:
    ends = [*split.document_starts[1:], len(split.tokens)]
    tokens = split.tokens[split.document_starts[i] : ends[i]]
    return text_bags(MODEL, PIECES).of(tokens, np.array([len(tokens)]))[0]


def probabilities(hidden, output):
    values = np.exp(output @ hidden - (output @ hidden).max())
    return values / values.sum()


@pytest.mark.parametrize("chunk_texts", [1, 4, 100])
def test_a_batch_equals_numpy(chunk_texts):
    """With one text a chunk, this is model.cc's update of one text after the other."""
    objective, model, split = set_up(chunk_texts)
    source = objective.batches(split, model, TrainConfig(batch_size=9, seed=1))
    order = source._texts_of(1)
    bounds = source.batch(1)["chunk_texts"][: source.batch(1)["num_chunks"][0] + 1]
    tables = {name: ops.convert_to_tensor(v) for name, v in model.tables().items()}
    loss, after, _ = objective.update(tables, {}, source.batch(1), np.float32(RATE))
    table, output = (np.array(tables[name], "float64") for name in ("input", "output"))
    before, losses = (table.copy(), output.copy()), []
    for first, end in zip(bounds[:-1], bounds[1:], strict=True):
        old_table, old_output = table.copy(), output.copy()
        for text in order[first:end]:
            rows, label = rows_of(split, text), split.labels[text]
            hidden = np.mean([old_table[row] for row in rows], axis=0)
            errors = np.eye(3)[label] - probabilities(hidden, old_output)
            losses.append(-np.log(probabilities(hidden, old_output)[label]))
            output += RATE * np.outer(errors, hidden)
            for row in rows:
                table[row] += RATE * (errors @ old_output) / len(rows)
    assert len(losses) == 9
    assert np.abs(table - before[0]).max() > 0.05 < np.abs(output - before[1]).max()
    np.testing.assert_allclose(np.array(after["input"]), table, atol=2e-5)
    np.testing.assert_allclose(np.array(after["output"]), output, atol=2e-5)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-5)


def test_validation_equals_numpy():
    objective, model, split = set_up(chunk_texts=4)
    evaluate = objective.evaluator(model, TrainConfig(batch_size=9), None)
    measured = evaluate(split)
    table, output = (np.array(v, "float64") for v in model.tables().values())
    shares = [probabilities(table[rows_of(split, i)].mean(axis=0), output) for i in range(23)]
    right = np.mean(np.argmax(shares, axis=1) == split.labels)
    assert 0 < right < 1
    assert measured["accuracy"] == pytest.approx(right)
    assert measured["error"] == pytest.approx(1 - right)
    nats = [-np.log(share[label]) for share, label in zip(shares, split.labels, strict=True)]
    assert measured["loss"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert measured["num_texts"] == 23
    assert evaluate(split, max_tokens=len(split.tokens) // 3)["num_texts"] == 9


def test_the_model_itself_gives_the_same_logits():
    _, model, split = set_up(chunk_texts=4)
    bags = [rows_of(split, i) for i in range(3)]
    padded = np.zeros((3, max(map(len, bags)) + 2), "int32")
    for row, bag in zip(padded, bags, strict=True):
        row[: len(bag)] = bag
    table, output = (np.array(v, "float64") for v in model.tables().values())
    expected = np.stack([output @ table[bag].mean(axis=0) for bag in bags])
    np.testing.assert_allclose(ops.convert_to_numpy(model(padded)), expected, atol=1e-5)
    assert np.isfinite(ops.convert_to_numpy(model(np.zeros((1, 2), "int32")))).all()


def test_initial_weights_are_fasttexts():
    table, output = (np.array(v) for v in models.build(MODEL, seed=1).tables().values())
    assert table.shape == (310, 6)
    assert 0.9 / 6 < np.abs(table).max() <= 1 / 6
    assert abs(table.mean()) < 0.01
    assert not output.any()


def test_rows_without_ngrams():
    assert FastTextClassifierConfig(9, word_ngrams=1).num_rows == 9
    assert FastTextClassifierConfig(9, word_ngrams=1, max_n=3, buckets=5).num_rows == 14
    assert FastTextClassifierConfig(9, word_ngrams=2, buckets=5).num_rows == 14
    with pytest.raises(UserError, match="`max_n` must be 0 or at least `min_n`. Received: max_n=2"):
        FastTextClassifierConfig(min_n=3, max_n=2)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A set of sentences that one word decides, and a held-out set of others."""
    folder, random = tmp_path_factory.mktemp("labelled"), np.random.default_rng(0)

    def write(name: str, count: int):
        lines = []
        for i in range(count):
            label, words = (("nice", NICE), ("nasty", POOR))[i % 2]
            around = random.choice(["a", "film", "the", "plot", "and", "cast"], 6)
            lines.append(
                f"__label__{label} {' '.join(around[:3])} {random.choice(words)} {' '.join(around[3:])}\n"
            )
        (folder / name).write_text("".join(lines))
        return str(folder / name)

    return {"train": write("train.txt", 300), "validation": write("validation.txt", 60)}


def tiny(files, **train) -> Experiment:
    settings = {
        "epochs": 4,
        "batch_size": 64,
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "schedule": "linear",
        "warmup_steps": 0,
        "final_learning_rate": 0.0,
        "weight_decay": 0.0,
        "clip_norm": 0.0,
        "eval_every": 10,
        "log_every": 1,
        "sample_tokens": 0,
    }
    return Experiment(
        model=FastTextClassifierConfig(hidden_dim=8, buckets=500),
        objective=ClassifyBagConfig(),
        tokenizer=TokenizerConfig(kind="word"),
        data=DataConfig(
            corpus=files["train"],
            validation_corpus=files["validation"],
            test_fraction=0.1,
            workers=1,
        ),
        train=TrainConfig(**(settings | train)),
    )


@pytest.fixture(scope="module")
def run_dir(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "classifier"
    result = fit.train(tiny(files), folder)
    assert result.metrics["accuracy"] == 1.0
    return folder


def test_what_a_run_stores(run_dir):
    values = json.loads((run_dir / "experiment.json").read_text())
    assert values["objective"] == {
        "kind": "classify_bag",
        "labels": ["nasty", "nice"],
        "chunk_texts": 16,
    }
    assert values["model"]["num_labels"] == 2
    pieces = json.loads((run_dir / "tokenizer" / "tokenizer.json").read_text())["pieces"]
    assert "lovely" in pieces
    assert not any("label" in piece or piece in ("nasty", "nice") for piece in pieces)
    loaded = run.load(run_dir)
    assert loaded.open_store().labels == ("nasty", "nice")
    assert loaded.model.pieces[3] == "</s>"


def test_a_run_goes_on_exactly(files, tmp_path, monkeypatch):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    fit.train(tiny(files), straight)
    shutil.copytree(straight, broken)
    latest = sorted((broken / "checkpoints").iterdir())[-1]
    shutil.rmtree(latest)
    fit.train(tiny(files), broken)
    assert differences_of(straight, broken) == []


def test_what_is_refused(files, run_dir, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("__label__x good film\n__label__y bad film\n" * 20)
    folder = tmp_path / "run"
    shutil.copytree(run_dir, folder)
    with pytest.raises(UserError, match="holds a run with data.corpus="):
        fit.train(tiny({**files, "train": str(other)}), folder)
    experiment = tiny(files)
    experiment.objective.labels = ("x", "y")
    with pytest.raises(
        UserError, match=r"must have the labels x, y \(2\), as .* Received: nasty, nice \(2\)."
    ):
        fit.train(experiment, tmp_path / "new")
    experiment = tiny(files)
    experiment.model.num_labels = 3
    with pytest.raises(UserError, match="`model.num_labels` must be 0 or that .* 2. Received: 3."):
        fit.train(experiment, tmp_path / "new")
    for field, value in (("optimizer", "adamw"), ("clip_norm", 1.0)):
        with pytest.raises(
            UserError, match=f"classify_bag updates single rows, with train.{field}"
        ):
            experiments.check(tiny(files, **{field: value}))
    with pytest.raises(
        UserError, match="classify_bag trains fasttext_classifier. Received a model"
    ):
        wrong = dataclasses.replace(
            tiny(files), model=models.config_class("rnn")(vocabulary_size=9)
        )
        experiments.check(wrong)


def test_the_texts_of_a_run_that_changed(files, run_dir, tmp_path):
    """The labels of a run stay: a label more in the file is an error, not another model."""
    changed = tmp_path / "train.txt"
    shutil.copy(files["train"], changed)
    folder = tmp_path / "run"
    fit.train(tiny({**files, "train": str(changed)}), folder)
    with open(changed, "a") as file:
        file.write("__label__new word\n")
    with pytest.raises(UserError, match=r"labels nasty, nice \(2\), .* Received: nasty, new, nice"):
        fit.train(tiny({**files, "train": str(changed)}, epochs=8), folder)


def test_evaluate(run_dir, files, tmp_path):
    from trainers.evaluation import results

    result = results.evaluate(run_dir, "test")
    assert result["accuracy"] == 1.0
    assert "nearest_words" not in result
    assert any(line.split() == ["accuracy:", "100.00%"] for line in results.lines_of(result))
    assert results.evaluate(run_dir, file=files["validation"])["documents"] == 60
    path = tmp_path / "file.txt"
    path.write_text("__label__odd x\n")
    with pytest.raises(UserError, match="line 1: the label 'odd' is none of the training text's"):
        results.evaluate(run_dir, file=str(path))


def test_the_program_that_labels_lines(run_dir, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("a lovely film\n\nthe dull plot and the awful cast\n", encoding="utf-8")
    arguments = (f"--run_dir={run_dir}", f"--input_file={texts}")
    done = run_program("trainers.classify", *arguments)
    assert done.code == 0, done
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[0] for row in rows[::2]] == ["nice", "nasty"]
    assert len(rows) == 3
    output = tmp_path / "labels.tsv"
    done = run_program("trainers.classify", *arguments, "--top=5", f"--output={output}")
    assert f"Wrote 3 lines to {output}." in done.out
    for line in output.read_text().splitlines():
        first, share, second, rest = line.split("\t")
        assert {first, second} == {"nasty", "nice"}
        assert float(share) + float(rest) == pytest.approx(1, abs=2e-4)


def test_probabilities_equal_numpy(run_dir):
    loaded = run.load(run_dir)
    texts = ["a good film", "", "dull zzz plot " * 50]
    with program_in_process("trainers.classify") as program:
        found = program.probabilities(loaded, texts)
    split = unlabelled_split(texts, loaded.tokenizer)
    bags = text_bags(loaded.model.config, loaded.model.pieces)
    rows, sizes = bags.of(split.tokens, np.diff([*split.document_starts, len(split.tokens)]))
    table, output = (np.array(v, "float64") for v in loaded.model.tables().values())
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    expected = [probabilities(table[part].mean(axis=0), output) for part in parts]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--run_dir is missing. Give one, for example runs/fasttext_classifier"),
        (("--run_dir=x",), "--input_file is missing"),
        (("--run_dir=x", "--input_file=nowhere.txt"), "Cannot read --input_file=nowhere.txt: No"),
        (("--run_dir=x", "--input_file=-"), "--input_file=- is empty. Give one text a line."),
        (("--run_dir=x", "y"), "Unexpected argument 'y'."),
    ],
)
def test_mistakes_of_the_program(arguments, message):
    done = run_program("trainers.classify", *arguments)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_batch_is_laid_out_for_any_batch_size():
    """More texts a batch than there are: an epoch within a batch."""
    objective, model, split = set_up(chunk_texts=4, count=5)
    batch = BagBatches(split, text_bags(MODEL, PIECES), 12, 4, seed=0).batch(2)
    tables = {name: ops.convert_to_tensor(v) for name, v in model.tables().items()}
    assert np.isfinite(float(objective.update(tables, {}, batch, np.float32(RATE))[0]))
