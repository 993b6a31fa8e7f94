"""Peak memory of building a token store, from a small and from a large text.

    python -m benchmarks.memory --text=corpus.txt.xz --folder=/tmp/room_for_the_large_text

Each text is the given corpus over and over, with a number in every line so that no document repeats.
A process of its own builds the store and then reads batches from it; another watches the resident
memory of that process and of its workers together, every `--interval` seconds. The files go to
`--folder` and are removed.
"""

import itertools
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
_BATCHES = flags.DEFINE_integer("batches", 20_000, "Batches of 32 windows of 256 tokens to read.")
_INTERVAL = flags.DEFINE_float("interval", 0.02, "Seconds between two looks.")

_BUILD = """
import sys
from tflm.data.corpora import DataConfig
from tflm.data.store import build_store
from tflm.data.windows import ShuffledWindows
from tflm.text.tokenizer import load
text, tokenizer, cache, workers, batches = sys.argv[1:]
store = build_store(DataConfig(corpus=text, workers=int(workers)), load(tokenizer), cache)
print("built", flush=True)
windows = ShuffledWindows(store.split("train"), 256, 32, seed=0)
for step in range(int(batches)):
    windows.batch(step)
"""


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


def _measure(text: Path, tokenizer: Path, cache: Path) -> dict:
    """Peak bytes and seconds of both stages."""
    arguments = [str(text), str(tokenizer), str(cache), str(_WORKERS.value), str(_BATCHES.value)]
    peaks, seconds = [0, 0], [0.0, 0.0]
    start = time.perf_counter()
    with open(cache / "log", "w+") as log:
        process = subprocess.Popen([sys.executable, "-c", _BUILD, *arguments], stdout=log)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            stage = 1 if (cache / "log").stat().st_size else 0
            try:
                peaks[stage] = max(peaks[stage], _memory(watched))
            except psutil.NoSuchProcess:
                break
            seconds[stage] = time.perf_counter() - start - sum(seconds[:stage])
            time.sleep(_INTERVAL.value)
    if process.wait():
        raise SystemExit(f"The build of {text} failed.")
    return {"peaks": peaks, "seconds": seconds}


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
            results.append(_measure(text, folder / "tokenizer", cache))
    print("Peak resident memory of the process and its workers together\n")
    print(f"{'text, MB':>10}{'build, MB':>12}{'seconds':>10}{'batches, MB':>14}{'seconds':>10}")
    for megabytes, result in zip(_MEGABYTES.value, results, strict=True):
        build, batches = (peak / 1e6 for peak in result["peaks"])
        seconds = result["seconds"]
        print(f"{megabytes:>10}{build:12.1f}{seconds[0]:10.1f}{batches:14.1f}{seconds[1]:10.1f}")
    ratios = [
        last / first
        for first, last in zip(*(r["peaks"] for r in (results[0], results[-1])), strict=True)
    ]
    print(f"{'ratio':>10}{ratios[0]:12.3f}{'':10}{ratios[1]:14.3f}")


def run():
    app.run(main)


if __name__ == "__main__":
    run()
