"""`generate`: text from a run, and mistakes in one line."""

import argparse

import pytest

from tests.programs import program_in_process, run_program
from tests.tiny_experiments import tiny_experiment
from tflm.errors import UserError
from trainers.objectives.skip_gram import SkipGramConfig


@pytest.fixture(scope="module")
def run_dir(corpus, tmp_path_factory):
    from trainers import fit

    run_dir = tmp_path_factory.mktemp("generate") / "run"
    fit.train(tiny_experiment("word2vec", corpus, steps=30, eval_every=30), run_dir)
    return run_dir


def generate(run_dir, *arguments, stdin: str = ""):
    return run_program("trainers.generate", f"--run_dir={run_dir}", *arguments, stdin=stdin)


def test_prompts_from_everywhere_give_the_same_text(run_dir, tmp_path):
    greedy = ("--temperature=0", "--max_tokens=12")
    flag = generate(run_dir, "--prompt=the cat", *greedy)
    assert flag.code == 0, flag
    assert flag.out.startswith("the cat")
    assert len(flag.out.strip("\n").encode()) == len("the cat") + 12
    assert generate(run_dir, "--prompt=-", *greedy, stdin="the cat").out == flag.out
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("the cat\nnobody sees\n", encoding="utf-8")
    both = generate(run_dir, f"--prompt_file={prompts}", *greedy)
    texts = both.out.split("\n---\n")
    assert texts[0] == flag.out.strip("\n")
    assert texts[1].startswith("nobody sees")
    asked = generate(run_dir, "--interactive", *greedy, stdin="the cat\n")
    assert flag.out.strip() in asked.out


def test_the_seed_decides(run_dir):
    arguments = ("--prompt=a", "--max_tokens=30")
    one, same = (generate(run_dir, *arguments, "--seed=5").out for _ in range(2))
    other = generate(run_dir, *arguments, "--seed=6").out
    assert one == same
    assert one != other


def test_a_stop_string_ends_the_text(run_dir):
    arguments = ("--prompt=the cat", "--temperature=0", "--max_tokens=12")
    text = generate(run_dir, *arguments).out.strip("\n")
    stop = text[-4:]
    stopped = generate(run_dir, *arguments, f"--stop={stop}").out.strip("\n")
    assert stopped == text[: text.index(stop, len("the cat"))]


def test_a_file_line_by_line(run_dir, tmp_path):
    """A run that continues texts gives the continuation of every line; two of one run are an ensemble that agrees."""
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("the cat\n\nnobody sees\n", encoding="utf-8")
    files = (f"--input_file={source}", f"--output_file={output}", "--max_tokens=12")
    finished = generate(run_dir, *files, "--beam_size=1")
    assert finished.code == 0, finished
    assert "Wrote 3 lines" in finished.out
    written = output.read_text(encoding="utf-8").split("\n")
    assert written[1] == ""
    assert len(written) == 4
    greedy = generate(run_dir, "--prompt=the cat", "--temperature=0", "--max_tokens=12").out
    assert "the cat" + written[0] == greedy.strip("\n")
    both = generate(f"{run_dir},{run_dir}", *files, "--n_best=2")
    assert both.code == 0, both
    ensemble = [line.split("\t") for line in output.read_text().strip("\n").split("\n")]
    assert [row[0] for row in ensemble] == ["1", "1", "2", "3", "3"]
    assert float(ensemble[0][1]) >= float(ensemble[1][1])
    alone = generate(run_dir, "--prompt=the cat", "--n_best=2", "--max_tokens=12").out.split("\n")
    assert alone[0].split("\t") == [f"{float(ensemble[0][1]):.4f}", "the cat" + ensemble[0][2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "There is nothing to continue"),
        (["--prompt=x", "word"], "Unexpected argument 'word'"),
        (["--prompt=x", "--temperature=-1"], "`temperature` must be from 0"),
        (["--prompt=x", "--top_p=2"], "`top_p` must be from 0 to 1"),
        (["--prompt=x", "--max_tokens=0"], "max_tokens"),
        (["--prompt=x", "--step=7"], "no checkpoint of step 7. It has: step_00000030"),
        (["--prompt=x", "--run_dir=/no/such/run"], "/no/such/run is not a run folder"),
        (["--prompt=x", "--run_dir="], "--run_dir is missing"),
        (["--prompt=x", "--precision=half"], "half"),
        (["--prompt_file=/no/such/file"], "Cannot read --prompt_file=/no/such/file"),
        (["--input_file=x"], "--input_file and --output_file belong together"),
        (["--input_file=x", "--output_file=y", "--prompt=z"], "takes neither prompts nor --stop"),
        (["--input_file=x", "--output_file=/no/y"], "--output_file=/no/y: there is no folder /no"),
        (["--input_file=/no/x", "--output_file=y"], "Cannot read --input_file=/no/x"),
        (
            ["--prompt=x", "--beam_size=2", "--top_k=2"],
            "--beam_size is of the beam search, --top_k",
        ),
        (["--prompt=x", "--beam_size=2", "--n_best=3"], "`num_best` must be at most `beam_size`"),
        (["--prompt=x", "--average_checkpoints=9"], "too few to average 9"),
    ],
)
def test_mistakes(run_dir, arguments, message):
    finished = generate(run_dir, *arguments)
    assert finished.code == 2, finished
    assert finished.err.startswith("error: ")
    assert len(finished.err.strip().splitlines()) == 1
    assert message in finished.err


def test_word_vectors_have_nothing_to_say(corpus, tmp_path):
    from trainers import fit

    rows = {"optimizer": "sgd", "clip_norm": 0.0, "weight_decay": 0.0}
    experiment = tiny_experiment("word2vec", corpus, steps=2, eval_every=2, **rows)
    experiment.objective = SkipGramConfig()
    result = fit.train(experiment, tmp_path)
    assert result.metrics["loss"] == pytest.approx(6 * 0.693, rel=0.2)  # 6 coins at first
    finished = generate(tmp_path, "--prompt=x")
    assert finished.code == 2
    assert "holds no language model" in finished.err


@pytest.mark.parametrize(
    ("content", "expected"),
    [("a\nb\n", ["a", "b"]), ("a\nb", ["a", "b"]), ("a\u2028b\r\n", ["a\u2028b"])],
)
def test_a_line_of_the_prompt_file_is_a_prompt(content, expected, tmp_path):
    (tmp_path / "prompts.txt").write_bytes(content.encode())
    flags = argparse.Namespace(value=str(tmp_path / "prompts.txt"))
    with (
        program_in_process("trainers.generate") as program,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(program, "_PROMPT_FILE", flags)
        patch.setattr(program, "_PROMPT", argparse.Namespace(value=None))
        assert program.read_prompts() == expected
        (tmp_path / "prompts.txt").write_text("\n")
        with pytest.raises(UserError, match="is empty"):
            program.read_prompts()
