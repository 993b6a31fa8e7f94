"""How fast the words of a text are counted, and in how much memory those of a text with millions of different ones.

    python -m benchmarks.vocabulary --text=corpus.txt.xz --workers=1,2
    python -m benchmarks.vocabulary --million_words=2,5,10

The first reads, decodes, cuts, hashes, removes duplicates, lowercases, splits and counts: what `trainers.train` does
for a word recipe. Starting the processes counts too. The second makes its text up: one half of the words are drawn
from Zipf's distribution, the other half are new ones, ten letters long. Each line is measured in a process of its own.
"""

import functools
import multiprocessing
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from absl import app, flags

from tflm.data.corpora import DataConfig
from tflm.data.training_texts import training_texts
from tflm.data.workers import map_batches
from tflm.text.tokenizer import TokenizerConfig, train

_TEXT = flags.DEFINE_string("text", None, "A corpus: a file, a folder or a name.")
_SPLIT = flags.DEFINE_string("split", "words", "Of the words: words, whitespace or jieba.")
_WORKERS = flags.DEFINE_list("workers", ["1", "2"], "Numbers of processes that count.")
_MILLIONS = flags.DEFINE_list("million_words", [], "Numbers of different words, in millions.")
_TEXT_WORDS = 4000
_COMMON = 50_000


def _count(texts, split: str, workers: int) -> dict:
    start, said, read = time.perf_counter(), [], [0]

    def measured():
        for text in texts:
            read[0] += len(text.encode("utf-8"))
            yield text

    config = TokenizerConfig("word", 1_000_000, split=split, min_count=5, sample_bytes=0)
    config.normalization = ("lowercase",)
    in_processes = functools.partial(map_batches, num_workers=workers)
    tokenizer = train(config, measured(), in_processes, said.append)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": time.perf_counter() - start,
        "processor": sum(os.times()[:4]),
        "bytes": read[0],
        "vocabulary": tokenizer.vocabulary_size,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "said": said,
    }


def _count_corpus(corpus: str, split: str, workers: int) -> dict:
    return _count(training_texts(DataConfig(corpus=corpus), 0, 0), split, workers)


def _count_made_up(num_words: int) -> dict:
    return _count(_made_up_texts(num_words), "words", 1)


def _made_up_texts(num_words: int):
    random, done = np.random.default_rng(0), 0
    while done < num_words:
        common = random.zipf(1.2, _TEXT_WORDS) % _COMMON
        new = np.arange(done, done + _TEXT_WORDS) + _COMMON
        done += _TEXT_WORDS
        # Base 26, in letters, all of them ten long.
        digits = np.stack([common, new])[..., None] // 26 ** np.arange(10) % 26
        letters = (digits + ord("a")).astype(np.uint8).reshape(-1, 10)
        spaced = np.pad(letters, ((0, 0), (0, 1)), constant_values=ord(" "))
        yield spaced.tobytes().decode("ascii")


def _alone(function, *arguments) -> dict:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        1, mp_context=spawn
    ) as process:  # one that may have processes of its own
        return process.submit(function, *arguments).result()


def _line(name: str, result: dict):
    megabytes = result["bytes"] / 1e6
    print(
        f"{name:>20}{megabytes:10.1f}{result['seconds']:10.1f}{megabytes / result['seconds']:10.2f}"
        f"{result['processor']:10.1f}{result['vocabulary']:12,}{result['peak'] / 1e6:10.0f}"
    )
    for line in result["said"]:
        print(f"{'':20}  {line}")


def main(argv):
    del argv
    print(
        f"{'':20}{'MB':>10}{'seconds':>10}{'MB/s':>10}{'CPU s':>10}{'vocabulary':>12}{'peak, MB':>10}"
    )
    if _TEXT.value is not None:
        for workers in map(int, _WORKERS.value):
            result = _alone(_count_corpus, _TEXT.value, _SPLIT.value, workers)
            _line(f"{workers} processes", result)
    for millions in map(float, _MILLIONS.value):
        _line(f"{millions:g} million words", _alone(_count_made_up, int(millions * 1e6)))


if __name__ == "__main__":
    app.run(main)
