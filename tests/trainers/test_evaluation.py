import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tflm.errors import UserError
from trainers.evaluation import results, run_samples

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_with_the_text_of_a_split_has_the_score_of_the_split(tiny_runs, tmp_path):
    """Two ways to the same text: the store on disk, and a file that is encoded in memory."""
    from tflm import run as runs

    run = runs.load(tiny_runs["gpt"])
    split = run.open_store().split("test")
    bounds = [*split.document_starts, len(split.tokens)]
    lines = [
        run.tokenizer.decode(split.tokens[start:end])
        for start, end in zip(bounds[:-1], bounds[1:], strict=True)
    ]
    path = tmp_path / "test.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    by_split = results.evaluate(tiny_runs["gpt"], "test")
    by_file = results.evaluate(tiny_runs["gpt"], file=str(path))
    assert by_split.pop("text") == "test" and by_file.pop("text") == str(path)
    assert by_file == pytest.approx(by_split)
    assert by_split["documents"] == len(lines)
    assert by_split["num_bytes"] == sum(len(line.encode()) for line in lines)
    assert by_split["num_tokens"] == len(split.tokens) - len(lines)  # all but bos
    bits = by_split["nats"] / math.log(2) / by_split["num_bytes"]
    assert by_split["bits_per_byte"] == pytest.approx(bits)
    assert 1 < bits < 8


def test_word_vectors_have_a_loss_and_nearest_words(tiny_runs):
    result = results.evaluate(tiny_runs["vectors"])
    assert (
        0 < result["loss"] < 6 * math.log(2)
    )  # six pairs at an even chance is where training starts
    assert "bits_per_byte" not in result
    assert "captain" in result["nearest_words"]
    lines = results.lines_of(result)
    assert any(line.startswith("captain:") for line in lines)


def test_numbers_that_are_not_finite_are_null_in_json():
    values = json.loads(results.json_of({"perplexity_per_word": math.inf, "step": 3, "text": "é"}))
    assert values == {"perplexity_per_word": None, "step": 3, "text": "é"}


def test_lines_of_a_language_model():
    score = {"bits_per_byte": 1.23456, "num_bytes": 12345, "num_tokens": 4321}
    score |= {"perplexity_per_token": 12.34, "perplexity_per_word": math.inf, "unknown_share": 0.5}
    lines = results.lines_of({"run_dir": "r", "step": 1, "text": "t", "documents": 2, **score})
    assert "bits per byte:        1.2346" in lines
    assert "perplexity per word:  ∞" in lines
    assert "<unk>:                50.00 %" in lines


def test_a_sample_depends_on_its_own_prompt_alone(tiny_runs):
    from tflm import run as runs

    run = runs.load(tiny_runs["gpt"])
    both = run_samples.samples(run, ["the cat ", "nobody sees the "], 12)
    assert run_samples.samples(run, ["nobody sees the "], 12) == both[1:]
    assert all(both) and not both[0].startswith("the cat")


def test_prompts_from_the_beginnings_of_documents(tiny_runs):
    from tflm import run as runs

    run = runs.load(tiny_runs["gpt"])
    split = run.open_store().split("validation")
    found = run_samples.beginnings(run.tokenizer, split, 2)
    whole = run.tokenizer.decode(split.tokens)
    assert len(found) == 2
    assert all(text in whole and 10 < len(text) <= 40 and "." in text for text in found)


def test_an_unknown_split_is_a_user_error(tiny_runs):
    with pytest.raises(UserError, match="Unknown split"):
        results.evaluate(tiny_runs["gpt"], "held_out")


def _run(*arguments):
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_the_programs(tiny_runs, tmp_path):
    """Both as they are typed; compare after evaluate, on the same split."""
    output = tmp_path / "score.json"
    done = _run("trainers.evaluate", f"--run_dir={tiny_runs['word2vec']}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    score = json.loads(output.read_text())
    assert f"bits per byte:        {score['bits_per_byte']:.4f}" in done.stdout
    page = tmp_path / "report.html"
    done = _run(
        "trainers.compare",
        f"--runs={tiny_runs['word2vec']}",
        f"--output={page}",
        "--sample_tokens=4",
    )
    assert done.returncode == 0, done.stderr
    assert f"{score['bits_per_byte']:.4f}" in done.stdout
    assert f"{score['bits_per_byte']:.4f}" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trainers.compare"], "--runs is missing"),
        (["trainers.compare", "--runs=/nowhere", "--output=/nowhere/x.html"], "there is no folder"),
        (["trainers.compare", "--runs=/nowhere", "--output="], "not a run folder"),
        (["trainers.evaluate"], "--run_dir is missing"),
        (["trainers.evaluate", "--run_dir=x", "--split=test", "--file=y"], "cannot both be given"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, message):
    done = _run(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert message in done.stderr
