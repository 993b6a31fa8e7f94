"""evaluate and compare of runs that write a target for a source."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sacrebleu

from tests.golden import make
from tests.programs import run_program
from tests.trainers.test_seq2seq_objective import log_softmax
from tflm import run as runs
from tflm.errors import UserError
from tflm.generation.beam import BeamConfig
from tflm.run import RunFolder
from trainers import speakers
from trainers.comparison import translation_table
from trainers.comparison.report import translation_page
from trainers.comparison.translations import compare_translations
from trainers.evaluation import translation

PAIRS = str(make.FOLDER / "pairs.tsv")
SEARCH = BeamConfig(beam_size=2, max_length=24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Copies of golden runs: `transformer` and `lstm` by BLEU, `titles` by ROUGE; the first with a checkpoint more."""
    folder = tmp_path_factory.mktemp("runs")
    for name, golden, metric in (
        ("transformer", "seq2seq_transformer", "bleu"),
        ("lstm", "seq2seq_lstm", "bleu"),
        ("titles", "seq2seq_transformer", "rouge"),
    ):
        shutil.copytree(make.FOLDER / golden, folder / name)
        run = RunFolder(folder / name)
        experiment = run.read_experiment()
        experiment["objective"]["metric"] = metric
        experiment["data"]["corpus"] = str(make.FOLDER / "pairs.tsv")
        run.write_experiment(experiment)
    run = RunFolder(folder / "transformer")
    last = run.load_latest()
    halved = {k: v / 2 if v.dtype == np.float32 else v for k, v in last.model.items()}
    run.save(dataclasses.replace(last, step=3, model=halved), is_best=False)
    return folder


def test_scores_are_of_what_the_run_writes(folder):
    """Of a table of pairs: every number by sacrebleu and by the model's logits, one pair at a time."""
    result = translation.evaluate(str(folder / "transformer"), "validation", PAIRS, SEARCH)
    sources, references = zip(
        *(line.split("\t") for line in Path(PAIRS).read_text(encoding="utf-8").splitlines()),
        strict=True,
    )
    speaker = speakers.load(str(folder / "transformer"), None, "float32", 1, say=print)
    hypotheses = speaker.translator().translate(list(sources), SEARCH)
    assert result["chrf"] == sacrebleu.corpus_chrf(hypotheses, [references]).score
    assert result["bleu"] == sacrebleu.corpus_bleu(hypotheses, [references], force=True).score
    assert (result["pairs"], result["truncated"], result["beam_size"]) == (30, 0, 2)
    nats, count = 0.0, 0
    run = speaker.runs[0]
    for source, target in zip(sources, references, strict=True):
        read = np.array([[2, *run.tokenizer.encode(target)]], "int32")
        wanted = [*read[0, 1:], 3]
        source_ids = np.array([[*run.source_tokenizer.encode(source), 3]], "int32")
        nats -= log_softmax(run.model(read, source_ids))[0, range(len(wanted)), wanted].sum()
        count += len(wanted)
    assert result["nats_per_token"] == pytest.approx(nats / count, rel=1e-5)
    assert result["scored_pairs"] == 30
    lines = "\n".join(translation.lines_of(result))
    assert f"BLEU:                 {result['bleu']:.2f} (nrefs:1|" in lines
    assert "chrF:" in lines


def test_the_mean_of_checkpoints(folder):
    """Of weights w and w / 2, against the model with 3/4 of w."""
    mean = translation.evaluate(str(folder / "transformer"), "validation", None, SEARCH, average=2)
    run = runs.load(folder / "transformer", step=2)
    for variable in run.model.trainable_variables:
        variable.assign(0.75 * variable)
    split = run.open_store().split("validation")
    nats, count = 0.0, 0
    for i in range(split.num_pairs):
        source, target = split.source(i).astype("int32"), split.target(i).astype("int32")
        log_p = log_softmax(run.model(target[None, :-1], source[None]))[0]
        nats -= log_p[range(len(target) - 1), target[1:]].sum()
        count += len(target) - 1
    assert mean["step"] == 3
    assert mean["nats_per_token"] == pytest.approx(nats / count, rel=1e-5)
    assert "the mean of the last 2 checkpoints" in translation.lines_of(mean)[0]


def test_summaries_stand_beside_the_beginning_of_their_sources(folder):
    result = translation.evaluate(str(folder / "titles"), "validation", None, SEARCH)
    assert set(result["lead"]) == {"1", "3"}
    assert result["lead"]["1"]["rouge1"] == 0, "no German word is English"
    assert "rouge_l" in result
    lines = translation.lines_of(result)
    assert any(line.startswith("lead 1:") for line in lines)
    assert any("unit:words|stem:porter" in line for line in lines)


def test_an_ensemble_from_the_command_line(folder, tmp_path):
    output = tmp_path / "scores.json"
    twice = f"{folder / 'transformer'},{folder / 'titles'}"
    finished = run_program(
        "trainers.evaluate",
        f"--run_dir={twice}",
        "--beam_size=2",
        f"--output={output}",
    )
    assert finished.code == 0, finished.err
    assert "BLEU:" in finished.out
    values = json.loads(output.read_text())
    assert values["step"] == [2, 2]
    assert values["beam_size"] == 2
    assert "nats_per_token" not in values


def test_comparison(folder, tmp_path, monkeypatch):
    run_dirs = [folder / "lstm", folder / "transformer"]
    result = compare_translations(run_dirs, "validation", SEARCH)
    assert sorted(run.name for run in result.runs) == ["lstm", "transformer"]
    assert result.runs[0].score["bleu"] >= result.runs[1].score["bleu"]
    assert len(result.samples) == 5
    by_name = {run.name: run for run in result.runs}
    assert [len(by_name[name].maps) for name in ("lstm", "transformer")] == [2, 2]
    looked = by_name["transformer"].maps[0]
    np.testing.assert_allclose(np.sum(looked.weights, axis=1), 1, atol=1e-2)
    assert np.shape(looked.weights) == (len(looked.target), len(looked.source))
    assert looked.source[-1] == looked.target[-1] == "</s>"
    assert all(run.speed > 0 and run.seconds > 0 for run in result.runs)
    page = translation_page.page(result)
    for source, reference in result.samples:
        assert source in page
        assert reference in page
    assert page.count("<figcaption>") >= 2
    assert "Where the models looked" in page
    assert "BLEU" in page
    assert "nrefs:1" in "".join(translation_table.notes_of(result))
    assert translation_table.table_of(result).row_count == 2

    def fail(*_, **__):
        raise AssertionError("what was computed once is kept")

    monkeypatch.setattr(runs, "load", fail)
    again = compare_translations(run_dirs, "validation", SEARCH)
    assert [run.score for run in again.runs] == [run.score for run in result.runs]


def test_what_does_not_compare(folder, tmp_path):
    with pytest.raises(
        UserError, match="transformer and titles cannot be compared: objective.metric"
    ):
        compare_translations([folder / "transformer", folder / "titles"], "validation", SEARCH)
    shutil.copytree(folder / "transformer", tmp_path / "other")
    other = RunFolder(tmp_path / "other")
    experiment = other.read_experiment()
    experiment["data"]["validation_fraction"] = 0.5
    other.write_experiment(experiment)
    with pytest.raises(UserError, match="their validation texts differ"):
        compare_translations([folder / "transformer", tmp_path / "other"], "validation", SEARCH)


def test_runs_of_two_kinds_have_no_score_in_common(folder, tiny_runs):
    finished = run_program(
        "trainers.compare", f"--runs={folder / 'transformer'},{tiny_runs['gpt']}", "--output="
    )
    assert finished.code == 2
    assert "they have no score in common" in finished.err
    finished = run_program("trainers.evaluate", f"--run_dir={tiny_runs['gpt']}", "--beam_size=2")
    assert finished.code == 2
    assert "--beam_size is for runs that translate or summarise" in finished.err
    finished = run_program(
        "trainers.evaluate", f"--run_dir={folder / 'transformer'}", "--nearest=one"
    )
    assert finished.code == 2
    assert "it has no word vectors" in finished.err
