"""Peak memory of building a token store and of training, from a small and from a large text.

    python -m benchmarks.memory --text=corpus.txt.xz --folder=/tmp/room_for_the_large_text
    python -m benchmarks.memory --text=corpus.txt.xz --megabytes=50,2000 --stages=build

Each text is the given corpus over and over, with a number in every line so that no document repeats.
A process of its own builds the store; another is `trainers.train` as a user starts it, from the text to
the last step. This one watches the resident memory of each process and of its workers together, every
`--interval` seconds, and prints its peak in each twentieth of the time, which says whether it grows. The files go to
`--folder` and are removed.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from absl import app, flags

from tflm.data import corpora
from tflm.data.corpora import DataConfig
from tflm.data.training_texts import training_texts
from tflm.text.tokenizer import TokenizerConfig, train

_TEXT = flags.DEFINE_string("text", "python_docs", "A corpus: a file, a folder or a name.")
_FOLDER = flags.DEFINE_string("folder", None, "For the texts and stores (default: temporary).")
_MEGABYTES = flags.DEFINE_list("megabytes", ["50", "1000"], "Sizes of the texts.")
_KIND = flags.DEFINE_string("kind", "sentencepiece", "Of the tokenizer.")
_VOCABULARY = flags.DEFINE_integer("vocabulary_size", 8000, "Of the tokenizer.")
_WORKERS = flags.DEFINE_integer("workers", 0, "Processes that tokenize; 0 for all cores.")
_STEPS = flags.DEFINE_integer("steps", 300, "Of the training.")
_STAGES = flags.DEFINE_list("stages", ["build", "train"], "What to measure, of these.")
_INTERVAL = flags.DEFINE_float("interval", 0.02, "Seconds between two looks.")

_BUILD = """
import sys
from tflm.data.corpora import DataConfig
from tflm.data.store import build_store
from tflm.text.tokenizer import load
text, tokenizer, cache, workers = sys.argv[1:]
build_store(DataConfig(corpus=text, workers=int(workers)), load(tokenizer), cache)
"""
PARTS = 20


def _write_text(path: Path, num_bytes: int):
    config = DataConfig(corpus=_TEXT.value, documents="line")
    files = corpora.resolve(config, corpora.cache_folder())["train"].files
    numbers, size = itertools.count(), 0
    with open(path, "w", encoding="utf-8", newline="") as output:
        while True:
            for document in itertools.chain.from_iterable(
                corpora.documents(file, config) for file in files
            ):
                size += output.write(f"{next(numbers)} {document.text}\n")
                if size >= num_bytes:
                    return


def _memory(process: psutil.Process) -> int:
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:  # It ended while we looked.
            continue
    return total


def _measure(command: list[str], cache: Path) -> tuple[int, float]:
    """Peak bytes and seconds of a command."""
    looks, start = [], time.perf_counter()
    environment = os.environ | {"TFLM_CACHE": str(cache)}
    process = subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL
    )
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            looks.append((time.perf_counter() - start, _memory(watched)))
        except psutil.NoSuchProcess:
            break
        time.sleep(_INTERVAL.value)
    if process.wait():
        raise SystemExit(f"{' '.join(command)} failed.")
    seconds = time.perf_counter() - start
    peaks = [0] * PARTS
    for when, size in looks:
        part = min(int(PARTS * when / seconds), PARTS - 1)
        peaks[part] = max(peaks[part], size)
    print("MB in each part of the time:", *(f"{peak / 1e6:.0f}" for peak in peaks), flush=True)
    return max(peaks), seconds


def _commands(text: Path, tokenizer: Path, folder: Path) -> list[list[str]]:
    """One for each of the stages."""
    train = [
        *("-m", "trainers.train", "--config=gpt_small", f"--corpus={text}"),
        *(f"--run_dir={folder / 'run'}", f"--config.train.steps={_STEPS.value}"),
        *(f"--config.train.eval_every={_STEPS.value}", "--config.train.eval_tokens=5000"),
        f"--config.data.workers={_WORKERS.value}",
    ]
    build = ["-c", _BUILD, str(text), str(tokenizer), str(folder), str(_WORKERS.value)]
    return [{"build": build, "train": train}[stage] for stage in _STAGES.value]


def main(argv):
    del argv
    with tempfile.TemporaryDirectory(dir=_FOLDER.value) as name:
        folder = Path(name)
        texts = training_texts(DataConfig(corpus=_TEXT.value), 5_000_000, 0)
        tokenizer = train(TokenizerConfig(_KIND.value, _VOCABULARY.value), texts)
        tokenizer.save(folder / "tokenizer")
        results = []
        for megabytes in map(float, _MEGABYTES.value):
            text, cache = folder / "text.txt", folder / f"cache_{megabytes}"
            cache.mkdir()
            _write_text(text, int(megabytes * 1e6))
            commands = _commands(text, folder / "tokenizer", cache)
            results.append([_measure(command, cache) for command in commands])
            shutil.rmtree(cache)
            print(megabytes, results[-1], flush=True)
    print("\nPeak resident memory of the process and its workers together\n")
    print(
        f"{'text, MB':>10}"
        + "".join(f"{f'{stage}, MB':>14}{'seconds':>10}" for stage in _STAGES.value)
    )
    for megabytes, result in zip(_MEGABYTES.value, results, strict=True):
        columns = (f"{peak / 1e6:14.1f}{seconds:10.1f}" for peak, seconds in result)
        print(f"{megabytes:>10}" + "".join(columns))
    ratios = (last[0] / first[0] for first, last in zip(results[0], results[-1], strict=True))
    print(f"{'ratio':>10}" + "".join(f"{ratio:14.3f}{'':10}" for ratio in ratios))


if __name__ == "__main__":
    app.run(main)
