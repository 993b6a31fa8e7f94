"""GloVe beside the authors' programs and beside skip-gram: the same words, the same settings, in turn.

    python -m benchmarks.glove --text=words.txt --similarity=WS353.txt,SIMLEX.txt --glove=GloVe/build
    python -m benchmarks.glove --text=words.txt --similarity=WS353.txt,SIMLEX.txt --models=glove,skip_gram

--text has lower-case words with spaces between them, a document a line. --glove is the folder of the authors' programs
vocab_count, cooccur, shuffle and glove, made from their source (github.com/stanfordnlp/GloVe); without it they are left
out. Settings: 100 dimensions, window 10, learning rate 0.05, words that occur 5 times. skip_gram is trained as its
recipe says.

Pairs per second are those of the training alone, each direction of a pair counted; the seconds of the whole program
have the counting of words and pairs in them, and tflm's compilation. All vectors are scored by tflm's evaluation.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags
from rich.console import Console
from rich.table import Table

_TEXT = flags.DEFINE_string("text", None, "Words, a document a line.", required=True)
_SIMILARITY = flags.DEFINE_list("similarity", None, "Similarity sets.", required=True)
_ANALOGIES = flags.DEFINE_list("analogies", [], "Analogies.")
_GLOVE = flags.DEFINE_string("glove", None, "Folder of the authors' programs.")
_THREADS = flags.DEFINE_integer("threads", os.cpu_count(), "Of the authors' program.")
_EPOCHS = flags.DEFINE_integer("epochs", 15, "Passes of GloVe over the pairs.")
_X_MAX = flags.DEFINE_float("x_max", 10.0, "A count from which on pairs weigh 1.")
_MODELS = flags.DEFINE_list("models", ["glove", "skip_gram"], "Recipes to train with tflm.")


def run_authors(folder: Path) -> dict:
    programs, text = Path(_GLOVE.value).resolve(), Path(_TEXT.value).read_bytes()
    vocabulary, vectors = folder / "vocab.txt", folder / "vectors"
    started = time.perf_counter()
    vocabulary.write_bytes(run([programs / "vocab_count", "-min-count", 5], folder, text)[0])
    settings = ("-vocab-file", vocabulary, "-window-size", 10, "-memory", 4.0)
    pairs = run([programs / "cooccur", *settings], folder, text)[0]
    pairs = run([programs / "shuffle", "-memory", 4.0], folder, pairs)[0]
    (folder / "pairs.bin").write_bytes(pairs)
    counted = time.perf_counter()
    settings = ("-vector-size", 100, "-iter", _EPOCHS.value, "-threads", _THREADS.value)
    settings += ("-x-max", _X_MAX.value, "-binary", 0)
    files = ("-input-file", folder / "pairs.bin", "-vocab-file", vocabulary, "-save-file", vectors)
    messages = run([programs / "glove", *files, *settings], folder)[1]
    ended = time.perf_counter()
    return {
        "pairs_per_second": len(pairs) / 16 * _EPOCHS.value / (ended - counted),
        "loss": float(re.findall(rb"cost: ([\d.]+)", messages)[-1]),
        "counting": counted - started,
        "seconds": ended - started,
        "scores": scores(f"--vectors={vectors}.txt"),
    }


def run_tflm(recipe: str, folder: Path) -> dict:
    run_dir = folder / recipe
    command = [
        *(sys.executable, "-m", "trainers.train", f"--config={recipe}"),
        *(f"--corpus={_TEXT.value}", f"--run_dir={run_dir}"),
        *("--config.tokenizer.split=whitespace", "--config.data.documents=line"),
        *("--config.data.validation_fraction=0.001", "--config.data.test_fraction=0"),
        *("--config.train.eval_every=1000000", "--config.train.log_every=20"),
    ]
    if recipe == "glove":
        command.append(f"--config.train.epochs={_EPOCHS.value}")
        command.append(f"--config.objective.x_max={_X_MAX.value}")
    started = time.perf_counter()
    # A cache of its own, so that everything is counted.
    run(command, Path.cwd(), environment={"TFLM_CACHE": str(folder / "cache")})
    seconds = time.perf_counter() - started
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    trained = [line for line in lines if line["kind"] == "train"]
    last = trained[-1]
    epoch = trained[-max(len(trained) // _EPOCHS.value, 1) :]
    row = {"seconds": seconds, "scores": scores(f"--run_dir={run_dir}")}
    if recipe == "glove":  # a pair of its table is learnt in both directions
        row["pairs_per_second"] = 2 * last["tokens"] / last["seconds"]
        row["loss"] = sum(line["loss"] for line in epoch) / len(epoch)
        row["counting"] = seconds - last["seconds"]
    return row


def run(command: list, folder: Path, given: bytes = b"", environment: dict | None = None):
    """What a program writes to stdout and stderr."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=os.environ | (environment or {}),
        input=given,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command[:4]} failed:\n{done.stderr[-4000:].decode(errors='replace')}")
    return done.stdout, done.stderr


def scores(vectors: str) -> dict[str, float]:
    """Spearman on every set and the share of analogies solved, by `trainers.evaluate`."""
    with tempfile.NamedTemporaryFile(suffix=".json") as output:
        command = [
            *(sys.executable, "-m", "trainers.evaluate", f"--output={output.name}", vectors),
            f"--similarity={','.join(_SIMILARITY.value)}",
            *([f"--analogies={','.join(_ANALOGIES.value)}"] if _ANALOGIES.value else []),
        ]
        run(command, Path.cwd())
        result = json.loads(Path(output.name).read_text(encoding="utf-8"))["word_vectors"]
    found = {Path(name).stem: values["spearman"] for name, values in result["similarity"].items()}
    for name, values in result.get("analogies", {}).items():
        total = values["total"]
        found[Path(name).stem] = total["3CosAdd"] / max(total["found"], 1)
    return found


def main(argv):
    del argv
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        if _GLOVE.value:
            results["authors' glove"] = run_authors(Path(temporary))
            print(results, flush=True)
        for recipe in _MODELS.value:
            results[f"tflm {recipe}"] = run_tflm(recipe, Path(temporary))
            print(f"tflm {recipe}", results[f"tflm {recipe}"], flush=True)
    table = Table(title=f"GloVe, {_EPOCHS.value} epochs")
    sets = list(next(iter(results.values()))["scores"])
    columns = ("", "pairs/s", "loss of the last epoch", "counting, s", "whole program, s")
    for column in (*columns, *sets):
        table.add_column(column, justify="right")
    for name, row in results.items():
        cells = (
            ("pairs_per_second", ",.0f"),
            ("loss", ".5f"),
            ("counting", ".0f"),
            ("seconds", ".0f"),
        )
        values = [format(row[key], style) if key in row else "" for key, style in cells]
        table.add_row(name, *values, *(f"{row['scores'][s]:.4f}" for s in sets))
    Console(width=200).print(table)


if __name__ == "__main__":
    app.run(main)
