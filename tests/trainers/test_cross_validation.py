"""Cross-validation: every fold a run folder, the same command goes on, mean and deviation by hand."""

import copy
import json

import numpy as np
import pytest

from tests.programs import run_program
from tests.tiny_experiments import tiny_experiment
from tflm import run as runs
from tflm.errors import UserError
from trainers import fit
from trainers.search.folds import CrossValidation, FoldResult, cross_validate, mean_and_deviation
from trainers.search.tables import fold_lines, fold_table


@pytest.fixture(scope="module")
def validated(corpus, tmp_path_factory):
    """Three folds of Word2Vec, the folder, and what was said."""
    folder, said = tmp_path_factory.mktemp("folds"), []
    experiment = tiny_experiment("word2vec", corpus)
    before = copy.deepcopy(experiment)
    result = cross_validate(experiment, 3, folder, said.append)
    assert experiment == before
    return result, folder, said


def test_every_fold_is_a_run_folder_with_its_own_validation_text(validated):
    result, folder, said = validated
    assert said == ["fold 1 of 3", "fold 2 of 3", "fold 3 of 3"]
    texts = []
    for number, fold in enumerate(result.folds, 1):
        assert fold.run_dir == folder / f"fold_{number}"
        run = runs.load(fold.run_dir)
        assert (run.experiment["data"]["folds"], run.experiment["data"]["fold"]) == (3, number - 1)
        texts.append(run.tokenizer.decode(run.open_store().split("validation").tokens))
        assert fold.metrics["num_tokens"] > 0
        assert fold.best <= fold.metrics["bits_per_byte"]
    assert len(set(texts)) == 3


def test_mean_and_deviation_are_those_of_the_folds(validated):
    result, folder, _ = validated
    written = json.loads((folder / "cross_validation.json").read_text())
    scores = [fold["metrics"]["bits_per_byte"] for fold in written["folds"]]
    assert len(set(scores)) == 3
    summary = written["summary"]["bits_per_byte"]
    assert summary["mean"] == pytest.approx(np.mean(scores))
    assert summary["deviation"] == pytest.approx(np.std(scores, ddof=1))
    assert written["summary"]["best_bits_per_byte"]["mean"] == pytest.approx(
        np.mean([fold["best"] for fold in written["folds"]])
    )
    assert mean_and_deviation([1.0, 2.0, 6.0]) == pytest.approx((3.0, 7**0.5))
    assert f"{np.mean(scores):.4f} +- {np.std(scores, ddof=1):.4f}" in fold_lines(result, 0)[0]
    assert fold_table(result).row_count == 5


def test_finished_folds_are_not_trained_again(validated, corpus, monkeypatch):
    result, folder, _ = validated
    files = {p: p.stat().st_mtime_ns for p in folder.glob("fold_*/checkpoints/*/*")}
    monkeypatch.setattr(fit, "_fit", lambda *args: pytest.fail("trained again"))
    again = cross_validate(tiny_experiment("word2vec", corpus), 3, folder, lambda text: None)
    assert again.to_dict() == result.to_dict()
    assert files == {p: p.stat().st_mtime_ns for p in folder.glob("fold_*/checkpoints/*/*")}


def test_a_signal_ends_it_and_the_same_command_goes_on(corpus, tmp_path, validated, monkeypatch):
    real, calls = fit.train, []

    def train(experiment, run_dir):
        calls.append(run_dir.name)
        if len(calls) == 2:
            return fit.Result(None, {}, 15)
        return real(experiment, run_dir)

    monkeypatch.setattr(fit, "train", train)
    experiment = tiny_experiment("word2vec", corpus)
    stopped = cross_validate(experiment, 3, tmp_path, lambda text: None)
    assert stopped.signal == 15 and len(stopped.folds) == 1
    assert not (tmp_path / "cross_validation.json").exists()
    result = cross_validate(experiment, 3, tmp_path, lambda text: None)
    assert calls == ["fold_1", "fold_2", "fold_1", "fold_2", "fold_3"]
    assert [f.metrics for f in result.folds] == [f.metrics for f in validated[0].folds]


def test_another_number_of_folds_needs_another_folder(validated, corpus):
    with pytest.raises(
        UserError, match="holds a run with data.folds=3, but this command asks for 4"
    ):
        cross_validate(tiny_experiment("word2vec", corpus), 4, validated[1], lambda text: None)


def test_a_part_of_the_folds_text_is_said_to_be_one():
    folds = [FoldResult(n, None, 1, 1.0, 0.5, {"error": n / 10}) for n in (1, 2)]
    lines = fold_lines(CrossValidation("error", 2, folds), 1000)
    assert lines[1] == "Scored on 1,000 tokens of each fold at most (train.eval_tokens)."


def test_a_labelled_set_through_the_program(tmp_path):
    random = np.random.default_rng(0)
    words = {"pos": ["good", "fine", "great"], "neg": ["bad", "awful", "dull"]}
    rows = [
        f"{label}\t{' '.join(random.choice(words[label], 5))} {i}"
        for i in range(60)
        for label in words
    ]
    corpus = tmp_path / "labelled.tsv"
    corpus.write_text("\n".join(rows) + "\n", encoding="utf-8")
    arguments = (
        "--config=fasttext_classifier",
        f"--corpus={corpus}",
        "--config.train.batch_size=16",
        "--config.train.eval_every=50",
        "--config.train.jit_compile=off",
        "--config.model.buckets=100",
        f"--folder={tmp_path / 'folds'}",
    )
    finished = run_program("trainers.cross_validate", *arguments, "--folds=3")
    assert finished.code == 0, finished.err
    assert "error 0.0000 +- 0.0000 (mean and standard deviation of 3 folds" in finished.out
    written = json.loads((tmp_path / "folds" / "cross_validation.json").read_text())
    assert written["summary"]["accuracy"] == {"mean": 1.0, "deviation": 0.0}
    # Every text outside the test split is held back once.
    held_back = sum(fold["metrics"]["num_texts"] for fold in written["folds"])
    assert 105 < held_back < 120


def test_mistakes_end_in_one_line():
    finished = run_program("trainers.cross_validate", "--config=gpt_small", "--folds=3")
    assert (finished.code, finished.err) == (
        2,
        "error: --folder is missing. Give one for the runs, for example runs/folds.\n",
    )
    finished = run_program("trainers.cross_validate", "--folder=x", "--folds=1")
    assert finished.code == 2 and "2" in finished.err
    finished = run_program("trainers.cross_validate", "--help")
    assert "--config:" in finished.out and "--corpus:" in finished.out
