"""Every program: help at once, and a user's mistake is one line on stderr and exit code 2."""

import configparser
import re
import signal

import pytest

from tests.conftest import ROOT
from tests.programs import Program, run_program, run_python
from tests.tiny_experiments import tiny_experiment
from tflm import program
from tflm.run import RunFolder

PROGRAMS = sorted(
    f"{room}.{path.stem}"
    for room in ("trainers", "export")
    for path in (ROOT / room).glob("*.py")
    if "program.run(main" in path.read_text(encoding="utf-8")
)
HEAVY = {"tensorflow", "keras", "keras_hub", "jax", "sentencepiece", "jieba", "matplotlib"}
MEASURE = """
import resource, runpy, sys
sys.argv = [{module!r}, "--help"]
try:
    runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
except SystemExit:
    pass
usage = resource.getrusage(resource.RUSAGE_SELF)
print("SECONDS", usage.ru_utime + usage.ru_stime)
print("MODULES", *sorted({{name.split(".")[0] for name in sys.modules}}))
"""


def test_all_programs_are_here():
    assert {"trainers.train", "trainers.generate", "export.export_model"} <= set(PROGRAMS)


@pytest.mark.parametrize("module", PROGRAMS)
def test_help_comes_at_once(module):
    answer = run_python("-c", MEASURE.format(module=module)).stdout
    assert "--" in answer, "no flags are described"
    assert float(re.search(r"^SECONDS (.*)$", answer, re.M)[1]) < 2
    modules = set(re.search(r"^MODULES (.*)$", answer, re.M)[1].split())
    assert "absl" in modules
    assert not modules & HEAVY


def test_importing_the_library_is_instant():
    code = "import sys, tflm, tflm.text.tokenizer, tflm.models; print(*sys.modules)"
    modules = {name.split(".")[0] for name in run_python("-c", code).stdout.split()}
    assert "tflm" in modules
    assert not modules & (HEAVY | {"numpy", "absl"} - {"numpy"})


def test_every_command_of_the_installed_package_exists():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    commands = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    modules = {line.split("=")[1].strip().split(":")[0] for line in commands}
    assert modules <= set(PROGRAMS)
    for line in commands:
        assert re.fullmatch(r"tflm-[a-z-]+ = [a-z_.]+:run", line)
        module = line.split("=")[1].strip().split(":")[0]
        assert "\ndef run():\n" in (ROOT / f"{module.replace('.', '/')}.py").read_text()


@pytest.fixture(scope="module")
def recipe(corpus, tmp_path_factory):
    """A recipe as a user writes one."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.py"
    path.write_text(
        "from tests.tiny_experiments import tiny_experiment\n\n\n"
        f"def get_config():\n    return tiny_experiment('word2vec', {str(corpus)!r})\n"
    )
    return path


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """The run folder of a finished training."""
    from trainers import fit

    run_dir = tmp_path_factory.mktemp("programs") / "run"
    fit.train(tiny_experiment("word2vec", corpus, steps=2, eval_every=2), run_dir)
    return run_dir


@pytest.fixture(scope="module")
def bad_texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.txt").write_text("")
    (folder / "blank.txt").write_text(" \n\n  \n")
    (folder / "latin.txt").write_bytes("Das Café ist schön.\n".encode("latin-1") * 400)
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 40)
    (folder / "short.txt").write_text("a b c\n" * 3)
    (folder / "nothing").mkdir()
    return folder


def assert_one_line(finished, message: str):
    """Exit code 2, and nothing on stderr but one line that matches."""
    assert finished.code == 2, finished
    lines = finished.err.strip().splitlines()
    assert len(lines) == 1, finished.err
    assert lines[0].startswith("error: ")
    assert re.search(message, lines[0]), lines[0]
    assert "Traceback" not in finished.out


def train_arguments(recipe, run_dir) -> list[str]:
    return [f"--config={recipe}", f"--run_dir={run_dir}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--confg=x"], "Unknown command line flag 'confg'"),
        (["--config=gpt_smal"], "There is no recipe 'gpt_smal'.*gpt_small"),
        (["--config=nothing/here.py"], "There is no recipe 'nothing/here.py'"),
        ([], "--config is missing"),
        (["{config}"], "--run_dir is missing"),
        (["{config}", "runs/x"], "Unexpected argument 'runs/x'"),
        (
            ["{config}", "--config.train.step=3"],
            "has no field 'step'. It has: steps, epochs, batch_size",
        ),
        (["{config}", "--config.trian.steps=3"], "has no field 'trian'. It has: model, objective"),
        (["{config}", "--config.train.steps.x=3"], "has no field 'x'. It is a value"),
        (
            ["{config}", "--noconfig.train.jit"],
            "has no field 'jit'. It has: steps, epochs, batch_size",
        ),
        (["{config}", "--config.model=3"], "config.model is a group of fields.*: vocabulary_size"),
        (["{config}", "--config.model.window"], "window"),
        (["{config}", "--config.train.steps=many"], "train.steps"),
        (["{config}", "--config.train.steps=1.5"], "train.steps"),
        (["--config="], "There is no recipe ''. Give a file, or one of: "),
        (["--config"], "There is no recipe ''. Give a file, or one of: "),
        (["{config}", "--config.train.learning_rate=fast"], "train.learning_rate"),
        (["{config}", "--on_bad_file=maybe"], "on_bad_file"),
        (["{config}", "{run}", "--precision=half"], "precision 'half'. Choose one of: auto, float"),
        (["{config}", "{run}", "--config.train.steps=0"], "`train.steps` must be at least 1"),
        (["{config}", "{run}", "--config.model.window=0"], "`window` must be at least 1"),
        (
            ["{config}", "{run}", "--config.train.optimizer=adm"],
            "Choose one of: adagrad, adamw, lion, muon, sgd",
        ),
        (["{config}", "{run}", "--config.train.schedule=cos"], "Choose one of: constant, cosine"),
        (["{config}", "{run}", "--config.tokenizer.kind=bpe"], "'bpe'. Choose one of: byte, ch"),
        (["{config}", "{run}", "--corpus=no/such/text"], "no/such/text"),
        (["{config}", "{run}", "--corpus={bad}/empty.txt"], "empty.txt"),
        (["{config}", "{run}", "--corpus={bad}/blank.txt"], "blank.txt"),
        (["{config}", "{run}", "--corpus={bad}/nothing"], "nothing"),
        (["{config}", "{run}", "--corpus={bad}/latin.txt"], r"latin.txt: byte 7 .*encoding"),
        (["{config}", "{run}", "--corpus={bad}/binary.txt"], "binary.txt"),
        (["{config}", "{run}", "--corpus={bad}/short.txt"], "short.txt|split|window"),
        (["{config}", "{run}", "--encoding=latin-0"], "encoding"),
        (["{config}", "{run}", "--config.train.sequence_length=90000"], "sequence_length"),
    ],
)
def test_mistakes_in_training(recipe, bad_texts, tmp_path, arguments, message):
    run_dir = tmp_path / "run"
    fill = {"config": f"--config={recipe}", "run": f"--run_dir={run_dir}", "bad": bad_texts}
    arguments = [argument.format(**fill) for argument in arguments]
    assert_one_line(run_program("trainers.train", *arguments), message)
    # Nothing half-written: no run, no checkpoint, no numbers.
    left = [path for path in run_dir.rglob("*") if path.is_file()] if run_dir.exists() else []
    assert [path.name for path in left if path.parent.name != "tokenizer"] in ([], [".lock"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:", "fails in line 1: SyntaxError: "),
        ("\n\nimport no_such_module", "fails in line 3: ModuleNotFoundError: .*no_such_module"),
        ("def get_config():\n    return 1 / 0", "fails in line 2: ZeroDivisionError"),
        ("def get_config():\n    return 3", "must define get_config.., which returns an Experim"),
        ("x = 3", "must define get_config"),
        (
            "def get_config():\n    from tflm.models.gpt import GPTConfig\n"
            "    return GPTConfig(num_heads=5)",
            "`num_heads` must divide `hidden_dim`",
        ),
    ],
)
def test_a_recipe_that_fails_names_its_line(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    finished = run_program("trainers.train", f"--config={tmp_path}/mine.py", "--run_dir=x")
    assert_one_line(finished, message)


def test_flags_set_every_kind_of_field(corpus, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from tests.tiny_experiments import tiny_experiment\n\n\n"
        f"def get_config():\n    return tiny_experiment('lstm', {str(corpus)!r})\n"
    )
    finished = run_program(
        "trainers.train",
        *train_arguments(tmp_path / "mine.py", tmp_path / "run"),
        "--precision=mixed_bfloat16",
        "--on_bad_file=skip",
        "--config.train.steps=1",
        "--config.train.learning_rate=1",
        "--config.train.sample_prompts=('a', 'b c')",
        "--config.model.embedding_dim=8",
        "--config.model.tie_embeddings=false",
        "--config.model.num_layers",
        "1",
        "--noconfig.objective.carry_state",
        "--config.tokenizer.kind=character",
    )
    assert finished.code == 0, finished
    stored = RunFolder(tmp_path / "run").read_experiment()
    assert stored["train"]["precision"] == "mixed_bfloat16"
    assert stored["data"]["on_bad_file"] == "skip"
    assert (stored["train"]["steps"], stored["train"]["learning_rate"]) == (1, 1.0)
    assert stored["train"]["sample_prompts"] == ["a", "b c"]
    assert (stored["model"]["embedding_dim"], stored["model"]["tie_embeddings"]) == (8, False)
    assert stored["model"]["num_layers"] == 1
    assert stored["objective"]["carry_state"] is False
    assert stored["tokenizer"]["kind"] == "character"


def test_a_folder_that_cannot_be_written(recipe, tmp_path):
    (tmp_path / "file").write_text("mine")
    finished = run_program("trainers.train", *train_arguments(recipe, tmp_path / "file" / "run"))
    assert_one_line(finished, "Cannot write the run folder .*Give another --run_dir")
    assert (tmp_path / "file").read_text() == "mine"
    finished = run_program("trainers.train", *train_arguments(recipe, tmp_path / "file"))
    assert_one_line(finished, "Cannot write the run folder")


def test_the_folder_of_another_recipe(trained):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    finished = run_program(
        "trainers.train", "--config=gpt_small", f"--run_dir={trained}", "--corpus=python_docs"
    )
    assert_one_line(finished, r"holds a run with \w+\.\w+=.*Give the same setting")
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_a_loss_that_is_not_a_number_ends_in_one_line(recipe, tmp_path):
    finished = run_program(
        "trainers.train",
        *train_arguments(recipe, tmp_path / "run"),
        "--config.train.optimizer=sgd",
        "--config.train.learning_rate=1e38",
        "--config.train.clip_norm=0",
        "--config.train.weight_decay=0",
        "--config.train.warmup_steps=0",
    )
    assert_one_line(finished, r"Not a number any more: .* first in steps \d+ to \d+.*--run_dir")


def test_a_full_disk_ends_in_one_line(capsys):
    def main(argv):
        with open("/dev/full", "w") as file:
            file.write("x")

    with pytest.raises(SystemExit) as exit_code:
        program._mistakes_in_one_line(main)([])
    assert exit_code.value.code == 2
    assert capsys.readouterr().err.startswith("error: No space left on device")


def test_other_errors_keep_their_traceback():
    def main(argv):
        raise FileNotFoundError("a mistake of ours")

    with pytest.raises(FileNotFoundError):
        program._mistakes_in_one_line(main)([])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_leaves(recipe, tmp_path, number, code):
    run_dir = tmp_path / "run"
    arguments = [
        *train_arguments(recipe, run_dir),
        "--config.train.steps=100000",
        "--config.train.eval_every=100000",
    ]
    running = Program("trainers.train", *arguments)
    metrics = run_dir / "metrics.jsonl"
    running.wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") > 3)
    running.send(number)
    finished = running.finish()
    assert finished.code == code, finished
    assert f"{number.name}: saving after this step" in finished.out
    saved = re.search(r"Saved at step ([\d,]+)\. The same command goes on", finished.out)
    assert finished.err == ""
    step = int(saved[1].replace(",", ""))
    assert [path.name for path in (run_dir / "checkpoints").iterdir()] == [f"step_{step:08d}"]

    again = Program("trainers.train", *arguments)
    again.wait_for(lambda: f"Going on in {run_dir} from step {step:,}." in again.out)
    # Wherever it is: before the first step a library's callback may even swallow the exception of a Ctrl-C.
    for _ in range(4):
        if again.process.is_alive():
            again.send(number)
            again.process.join(20)
    assert again.finish().code in (code, -number)


def test_a_fresh_process_says_nothing_of_its_libraries(recipe, bad_texts, tmp_path):
    """The other tests start with TensorFlow imported; its own messages are seen only here."""
    finished = run_python(
        "-m",
        "trainers.train",
        *train_arguments(recipe, tmp_path / "run"),
        f"--corpus={bad_texts}/latin.txt",
        env={"TF_CPP_MIN_LOG_LEVEL": None, "CUDA_VISIBLE_DEVICES": None},
    )
    assert finished.returncode == 2
    assert len(finished.stderr.strip().splitlines()) == 1, finished.stderr
    assert finished.stderr.startswith("error: ")
