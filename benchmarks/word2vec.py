"""Word vectors beside gensim's: the same text, the same settings, in turn, one after the other on all cores.

    python -m benchmarks.word2vec --text=novels.txt --similarity=WS353.txt,SIMLEX.txt --analogies=questions-words.txt
    python -m benchmarks.word2vec --text=novels.txt --similarity=... --mode=cbow --gensim_python=PATH/bin/python
    python -m benchmarks.word2vec --text=zh.txt --split=jieba --similarity=wordsim-240.txt --min_count=10

The text is cut into words once (--split=letters: lower-cased runs of a to z; jieba: Chinese words) and given to both
as words with spaces between them. Settings: 100 dimensions, window 5, 5 negatives, subsampling 1e-3, 3 epochs. A
round trains both with another seed. Words per second are those of the whole training, tflm's compilation included;
building the vocabulary is counted for neither. Both sets of vectors are scored by tflm's evaluation, with the same
words.
"""

import json
import lzma
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.programs import log_of, run

_TEXT = flags.DEFINE_string("text", None, "Text, plain or .xz.", required=True)
_MODE = flags.DEFINE_enum("mode", "skip_gram", ["skip_gram", "cbow", "fasttext"], "What to train.")
_SPLIT = flags.DEFINE_enum("split", "letters", ["letters", "jieba"], "How to cut it into words.")
_SIMILARITY = flags.DEFINE_list("similarity", [], "Similarity sets.")
_ANALOGIES = flags.DEFINE_list("analogies", [], "Analogies.")
_GENSIM_PYTHON = flags.DEFINE_string("gensim_python", sys.executable, "Interpreter with gensim.")
_WORKERS = flags.DEFINE_integer(
    "gensim_workers", 2, "gensim's threads: as many as there are cores."
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is trained.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 3, "Passes over the text.")
_MIN_COUNT = flags.DEFINE_integer("min_count", 5, "A rarer word is left out.")
_BUCKETS = flags.DEFINE_integer("buckets", 200_000, "Of FastText, for both.")

WORDS_A_LINE = 1000
GENSIM = """
import json, sys, time
from gensim.models import FastText, Word2Vec
from gensim.models.word2vec import LineSentence
text, output, mode, seed, epochs, min_count, workers, buckets = sys.argv[1:]
settings = dict(vector_size=100, window=5, negative=5, sample=1e-3, min_count=int(min_count), epochs=int(epochs),
                workers=int(workers), seed=int(seed), sg=int(mode != "cbow"))
model = FastText(bucket=int(buckets), **settings) if mode == "fasttext" else Word2Vec(**settings)
model.build_vocab(LineSentence(text))
start = time.perf_counter()
model.train(LineSentence(text), total_examples=model.corpus_count, epochs=int(epochs))
seconds = time.perf_counter() - start
model.wv.save_word2vec_format(output, binary=True)
print(json.dumps({"seconds": seconds, "words": model.corpus_total_words * int(epochs)}))
"""


def prepare(path: Path) -> int:
    """Writes the words of --text in lines, and returns their number."""
    opened = lzma.open if _TEXT.value.endswith(".xz") else open
    line, total = [], 0
    with opened(_TEXT.value, "rt", encoding="utf-8") as text, open(path, "w") as out:
        for part in text:
            line += words_of(part)
            while len(line) >= WORDS_A_LINE:
                out.write(" ".join(line[:WORDS_A_LINE]) + "\n")
                line, total = line[WORDS_A_LINE:], total + WORDS_A_LINE
        out.write(" ".join(line) + "\n")
    return total + len(line)


def words_of(text: str) -> list[str]:
    if _SPLIT.value == "letters":
        return re.findall("[a-z]+", text.lower())
    import jieba

    return [word for word in jieba.cut(text) if not word.isspace()]


def run_gensim(text: Path, folder: Path, seed: int) -> dict:
    output = folder / f"gensim_{seed}.bin"
    arguments = (text, output, _MODE.value, seed, _EPOCHS.value, _MIN_COUNT.value)
    answer = run(
        [_GENSIM_PYTHON.value, "-c", GENSIM, *arguments, _WORKERS.value, _BUCKETS.value]
    ).splitlines()[-1]
    measured = json.loads(answer)
    return {"speed": measured["words"] / measured["seconds"], "vectors": output}


def run_tflm(text: Path, folder: Path, seed: int) -> dict:
    run_dir = folder / f"tflm_{seed}"
    command = [
        *(sys.executable, "-m", "trainers.train", f"--config={_MODE.value}"),
        *(f"--corpus={text}", f"--run_dir={run_dir}", f"--config.train.epochs={_EPOCHS.value}"),
        *(f"--config.train.seed={seed}", "--config.train.batch_size=128"),
        *(
            "--config.tokenizer.split=whitespace",
            f"--config.tokenizer.min_count={_MIN_COUNT.value}",
        ),
        *("--config.data.validation_fraction=0.001", "--config.data.test_fraction=0"),
        *("--config.train.eval_every=1000000", "--config.train.log_every=50"),
    ]
    if _MODE.value == "fasttext":
        command.append(f"--config.model.buckets={_BUCKETS.value}")
    run(command)
    last = [line for line in log_of(run_dir) if line["kind"] == "train"][-1]
    return {"speed": last["tokens"] / last["seconds"], "vectors": run_dir}


def scores(source: Path) -> dict[str, float]:
    """Spearman on every set and the share of analogies solved, by `trainers.evaluate`."""
    with tempfile.NamedTemporaryFile(suffix=".json") as output:
        run(
            [
                *(sys.executable, "-m", "trainers.evaluate", f"--output={output.name}"),
                f"--{'run_dir' if source.is_dir() else 'vectors'}={source}",
                f"--similarity={','.join(_SIMILARITY.value)}",
                *([f"--analogies={','.join(_ANALOGIES.value)}"] if _ANALOGIES.value else []),
            ]
        )
        result = json.loads(Path(output.name).read_text())["word_vectors"]
    found = {Path(name).stem: values["spearman"] for name, values in result["similarity"].items()}
    for name, values in result.get("analogies", {}).items():
        total = values["total"]
        found[Path(name).stem] = total["3CosAdd"] / max(total["found"], 1)
    return found


def main(argv):
    del argv
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        text = folder / "words.txt"
        print(f"{prepare(text):,} words", flush=True)
        results = {"gensim": [], "tflm": []}
        for seed in range(1, _ROUNDS.value + 1):
            for name, trained in (("gensim", run_gensim), ("tflm", run_tflm)):
                started = time.perf_counter()
                row = trained(text, folder, seed)
                row |= {"seconds": time.perf_counter() - started, "scores": scores(row["vectors"])}
                results[name].append(row)
                print(seed, name, f"{row['speed']:,.0f} words/s", row["scores"], flush=True)
    table = Table(title=f"{_MODE.value}, {_EPOCHS.value} epochs, {_ROUNDS.value} rounds")
    sets = list(results["tflm"][0]["scores"])
    for column in (
        "",
        "words/s (median)",
        "whole program, s",
        *(f"{name} (mean)" for name in sets),
    ):
        table.add_column(column, justify="right")
    speed = {}
    for name, rows in results.items():
        speed[name] = statistics.median(row["speed"] for row in rows)
        seconds = statistics.median(row["seconds"] for row in rows)
        means = [f"{np.mean([row['scores'][s] for row in rows]):.4f}" for s in sets]
        table.add_row(name, f"{speed[name]:,.0f}", f"{seconds:.1f}", *means)
    Console(width=200).print(table)
    print(f"tflm / gensim: {speed['tflm'] / speed['gensim']:.2f}")


if __name__ == "__main__":
    app.run(main)
