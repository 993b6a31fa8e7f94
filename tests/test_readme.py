"""What README.md tells a user to type works, and the Chinese page tells the same."""

import re

import pytest

from tests.conftest import ROOT
from tests.programs import run_program
from tests.tiny_pairs import NUM_PAIRS, write_pairs

PAGES = ("README.md", "README.zh-CN.md")
# The recipes are for minutes of training; the test needs seconds. Everything else is typed as it stands.
TINY = {
    "gpt_small": ["--config.model.num_layers=1", "--config.model.hidden_dim=16"],
    "lstm_small": ["--config.model.num_layers=1", "--config.model.hidden_dim=16"],
    "bert_small": ["--config.model.num_layers=1", "--config.model.hidden_dim=16"],
    "classify": ["--config.train.epochs=0"],
    "skip_gram": ["--config.train.epochs=0"],
    "translate_transformer": [
        "--config.model.num_layers=1",
        "--config.model.num_encoder_layers=1",
        "--config.model.hidden_dim=16",
        "--config.model.intermediate_dim=16",
        "--config.tokenizer.kind=byte",
    ],
}
FEW_STEPS = [
    "--config.tokenizer.vocabulary_size=300",
    "--config.train.steps=4",
    "--config.train.eval_every=2",
    "--config.train.log_every=1",
    "--config.train.sequence_length=16",
    "--config.train.batch_size=4",
    "--config.train.sample_tokens=4",
]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text_of(page), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_commands_run_as_they_stand(tmp_path, corpus):
    runs = tmp_path / "runs"
    pairs = write_pairs(tmp_path, "train", NUM_PAIRS)
    labels = tmp_path / "labels.tsv"
    labels.write_text("".join(f"{i % 2}\ttext number {i}\n" for i in range(200)))
    (tmp_path / "in.txt").write_text("eins zwei\n\nvier\n", encoding="utf-8")
    seen = []
    for line in commands("README.md"):
        words = [word.strip('"') for word in re.findall(r'(?:[^\s"]|"[^"]*")+', line)]
        if words[0] == "tensorboard":
            assert words[1:] == ["--logdir", "runs"]
            continue
        assert words[:2] == ["python", "-m"], line
        module, arguments = words[2], words[3:]
        arguments = [
            re.sub(r"(?<=[=,])runs/", f"{runs}/", argument)
            .replace("my_texts/", str(corpus))
            .replace("train.de,train.en", pairs)
            .replace("labels.tsv", str(labels))
            .replace("=in.txt", f"={tmp_path}/in.txt")
            .replace("=out.txt", f"={tmp_path}/out.txt")
            .replace("=report.html", f"={tmp_path}/report.html")
            .replace("=words.json", f"={tmp_path}/words.json")
            .replace('"The function"', "The function")
            for argument in arguments
        ]
        if module == "trainers.train":
            recipe = next(a for a in arguments if a.startswith("--config=")).split("=")[1]
            arguments += TINY[recipe] + FEW_STEPS
        if module == "export.export_model" and "gpt" in line:
            arguments.append("--prefill_lengths=4")
        finished = run_program(module, *arguments)
        assert finished.code == 0, f"{line}\n{finished.out}\n{finished.err}"
        assert "Traceback" not in finished.err
        seen.append(module)
    assert {"trainers.train", "trainers.evaluate", "trainers.generate"} <= set(seen)
    assert {"trainers.compare", "export.export_model"} <= set(seen)
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").count("\n") == 3
    for name in ("gpt", "words", "de_en"):
        assert (runs / name / "export" / "manifest.json").exists()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text_of(page))
    assert links and "@@" not in text_of(page)
    for link in links:
        assert (ROOT / link).exists(), f"{page} links to {link}"


def test_both_pages_say_the_same():
    english, chinese = (text_of(page) for page in PAGES)
    assert commands("README.md") == commands("README.zh-CN.md")
    # The same headings, tables, figures, code words and links, whatever the language around them.
    for what in (r"^#+ ", r"^\|.*\|$", r"\d[\d.,]*\d", r"`[^`\n]+`"):
        found = [len(re.findall(what, page, re.MULTILINE)) for page in (english, chinese)]
        assert found[0] == found[1], f"{what}: {found}"


def test_make_targets_exist():
    makefile = text_of("Makefile")
    for target in re.findall(r"^    make (\w+)", text_of("README.md"), re.MULTILINE):
        assert f"\n{target}:" in makefile
