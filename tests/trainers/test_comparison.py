import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.trainers.summaries import comparison, summary
from tflm.errors import UserError
from trainers.comparison.ranking import compare, configuration_differences, distinct_names, ranked
from trainers.comparison.runs import LARGEST_UNKNOWN_SHARE, read_metrics, why_unranked
from trainers.comparison.table import notes_of, table_of


@pytest.fixture
def runs(tiny_runs, tmp_path) -> dict[str, Path]:
    """Copies of the tiny runs, to be written to."""
    return {name: Path(shutil.copytree(path, tmp_path / name)) for name, path in tiny_runs.items()}


@pytest.fixture(scope="module")
def compared(tiny_runs, tmp_path_factory):
    """The comparison of all three, and the folders it was made of."""
    folder = tmp_path_factory.mktemp("compared")
    copies = [shutil.copytree(path, folder / name) for name, path in tiny_runs.items()]
    return compare(copies, prompts=["the cat "], sample_tokens=8), copies


def test_better_models_come_first_and_word_vectors_are_not_ranked(compared):
    result, _ = compared
    assert [run.name for run in result.runs] == ["gpt", "word2vec", "vectors"]
    assert [run.name for run in result.ranked] == ["gpt", "word2vec"]
    assert result.runs[2].score is None
    assert "no bits per byte" in result.runs[2].unranked
    assert [len(run.samples) for run in result.runs] == [1, 1, 0]


def test_the_score_is_that_of_the_best_checkpoint_over_the_whole_split(compared):
    """Against numpy over full forward passes, lane by lane, on the text of the corpus itself."""
    from tflm import run as runs

    run = runs.load(compared[1][0])
    store = run.open_store()
    text = store.split("validation")
    lanes, num_labels = 4, len(text.tokens) - 1  # batch_size of the tiny experiments
    lane_length = -(-num_labels // lanes)
    nats = 0.0
    for start in range(0, num_labels, lane_length):
        end = min(start + lane_length, num_labels)
        ids = np.asarray(text.tokens[start : end + 1], "int32")
        logits = np.asarray(run.model(ids[None, :-1]))[0].astype("float64")
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        labels = ids[1:]
        nats -= log_p[np.arange(len(labels)), labels][labels != run.tokenizer.bos_id].sum()
    lines = run.tokenizer.decode(text.tokens)
    expected = nats / math.log(2) / len(lines.encode("utf-8"))
    score = compared[0].runs[1].score
    assert score["bits_per_byte"] == pytest.approx(expected, rel=1e-5)
    assert score["num_tokens"] == len(text.tokens) - text.num_documents


def test_a_second_comparison_needs_no_model(compared, monkeypatch):
    result, folders = compared
    _forbid_loading(monkeypatch)
    again = compare(folders, prompts=["the cat "], sample_tokens=8)
    assert [dataclasses.asdict(run) for run in again.runs] == [
        dataclasses.asdict(run) for run in result.runs
    ]


@pytest.mark.parametrize("change", ["split", "prompt", "checkpoint"])
def test_what_is_new_is_computed(compared, monkeypatch, tmp_path, change):
    folders = [shutil.copytree(path, tmp_path / path.name) for path in compared[1]]
    _forbid_loading(monkeypatch)
    split, prompts = "validation", ["the cat "]
    if change == "split":
        split = "test"
    elif change == "prompt":
        prompts = ["a small "]
    else:
        for file in folders[0].glob("checkpoints/*/state.json"):
            state = json.loads(file.read_text())
            state["checksums"]["model.safetensors"] = "of other weights"
            file.write_text(json.dumps(state))
    with pytest.raises(LookupError, match="loaded"):
        compare(folders, split=split, prompts=prompts, sample_tokens=8)


def _forbid_loading(monkeypatch):
    def load(*_, **__):
        raise LookupError("a model was loaded")

    monkeypatch.setattr("tflm.run.load", load)


def test_a_damaged_cache_is_computed_again(compared, tmp_path):
    folder = shutil.copytree(compared[1][0], tmp_path / "run")
    (folder / "comparison.json").write_text("{half")
    again = compare([folder], sample_tokens=0)
    assert again.runs[0].score == compared[0].runs[1].score


def test_different_splits_are_refused(runs):
    _edit(runs["gpt"], "data", validation_fraction=0.2)
    with pytest.raises(UserError, match=r"data\.validation_fraction is 0.05 and 0.2") as error:
        compare([runs["word2vec"], runs["gpt"]])
    assert "\n" not in str(error.value)


def test_different_texts_are_refused(runs, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("Another text.\n" * 3 + "".join(f"Line {i}.\n" for i in range(200)))
    _edit(runs["gpt"], "data", corpus=str(other))
    with pytest.raises(UserError, match=r"cannot be compared: data\.corpus"):
        compare([runs["word2vec"], runs["gpt"]])


def test_the_same_text_elsewhere_is_the_same(runs, corpus, tmp_path):
    copy = tmp_path / "copy.txt"
    shutil.copy(corpus, copy)
    _edit(runs["gpt"], "data", corpus=str(copy))
    assert len(compare([runs["word2vec"], runs["gpt"]], sample_tokens=0).ranked) == 2


def _edit(run_dir: Path, room: str, **fields) -> None:
    file = run_dir / "experiment.json"
    values = json.loads(file.read_text())
    values[room] |= fields
    file.write_text(json.dumps(values))


def test_no_runs():
    with pytest.raises(UserError, match="There is no run to compare"):
        compare([])


def test_a_missing_folder(tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        compare([tmp_path / "nothing"])


def test_an_untrained_run(runs):
    shutil.rmtree(runs["gpt"] / "checkpoints")
    with pytest.raises(UserError, match="has no checkpoint yet"):
        compare([runs["gpt"]])


def test_a_damaged_best_checkpoint_is_said_and_not_kept(runs):
    best = (runs["gpt"] / "BEST").read_text()
    with open(runs["gpt"] / "checkpoints" / best / "model.safetensors", "ab") as file:
        file.write(b"x")
    said = []
    result = compare([runs["gpt"]], sample_tokens=0, say=said.append)
    assert any("damaged" in line for line in said)
    assert result.runs[0].step == 3
    assert not (runs["gpt"] / "comparison.json").exists()


def test_names_have_as_much_of_the_path_as_tells_them_apart(tmp_path):
    paths = [tmp_path / name for name in ("a/gpt", "b/gpt", "b/lstm")]
    assert distinct_names(paths[1:]) == ["gpt", "lstm"]
    assert distinct_names(paths) == ["a/gpt", "b/gpt", "b/lstm"]
    with pytest.raises(UserError, match="given twice"):
        distinct_names([paths[0], tmp_path / "b" / ".." / "a" / "gpt"])


def test_order_of_ranked_and_unranked():
    runs = [
        summary("vectors"),
        summary("hidden", 0.5, unranked="too many <unk>"),
        summary("worse", 2.0),
        summary("better", 1.5),
    ]
    assert [run.name for run in ranked(runs)] == ["better", "worse", "hidden", "vectors"]


def test_why_a_run_is_not_ranked():
    score = {"unknown_share": LARGEST_UNKNOWN_SHARE}
    assert why_unranked(score, None) is None
    assert "1.1% of its tokens are <unk>" in why_unranked({"unknown_share": 0.011}, None)
    assert "lossy: its tokenizer turns 'The' into 'the'" in why_unranked(score, ("The", "the"))
    assert "no bits per byte" in why_unranked(None, None)


def test_differences_of_configurations():
    runs = [summary("a", 1.0), summary("b", 2.0)]
    runs[1].experiment = {
        "model": {"family": "rnn", "hidden_dim": 64, "cell": "gru"},
        "train": {"steps": 100},
    }
    assert configuration_differences(runs) == {
        "model.family": ["gpt", "rnn"],
        "model.cell": [None, "gru"],
    }


def test_metrics_with_a_line_cut_off(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"kind": "train", "step": 1}\n{"kind": "validation", "step": 2}\n{"kind": "tr')
    lines = read_metrics(file)
    assert [line["step"] for line in lines["train"] + lines["validation"]] == [1, 2]
    assert read_metrics(tmp_path / "none")["train"] == []


def _printed(table, width=200) -> str:
    from rich.console import Console

    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    return console.export_text()


def test_the_table_has_the_numbers_the_best_first():
    text = _printed(table_of(comparison(summary("b", 2.0), summary("a", 1.25))))
    rows = [line.split() for line in text.splitlines() if line.startswith((" 1", " 2"))]
    assert rows[0][:5] == ["1", "a", "1.23M", "1.2500", "321.0"]
    assert " ".join(rows[0][5:10]) == "0 % 1 min 15"
    assert " ".join(rows[0][10:]) == "s 6,400 tflite int8 2.5 MB 1,234 99.99 %"
    assert rows[1][:2] == ["2", "b"]


def test_a_narrow_terminal_loses_columns_not_digits():
    result = comparison(summary("a", 1.25))
    for width in (200, 100, 80):
        text = _printed(table_of(result, width), width)
        assert "1.2500" in text and "99.99 %" in text and "…" not in text
    assert "perplexity" not in text


def test_notes_name_what_the_table_cannot_say():
    run = summary("a", 1.0, step=50, finished=False)
    notes = notes_of(comparison(run, summary("v", artifacts=[])))
    assert any("a did not train to its end" in note for note in notes)
    assert any("tflite int8 was exported from another step" in note for note in notes)
    assert any("v is not ranked: word vectors" in note for note in notes)
    assert any("Not exported yet: v" in note for note in notes)
