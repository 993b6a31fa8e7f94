"""How fast a token store is built, beside plain `sentencepiece` with as many processes.

    python -m benchmarks.tokenization --text=corpus.txt.xz --processes=1,2

Both encode the same text with the same model, in turn, `--rounds` times; the table shows medians, and
the processor time of all processes together, which other work on the machine disturbs less.
Ours reads, decodes, cuts, hashes, removes duplicates, counts and writes; plain `sentencepiece` gets its
share of the text in memory, encodes it by the section and counts the ids, nothing else. Starting the
processes counts for both.

The file is not called tokenize.py because a program run from this folder would then import it in place
of Python's own module of that name.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

from absl import app, flags

from tflm.data import corpora
from tflm.data.corpora import DataConfig
from tflm.data.store import build_store
from tflm.data.training_texts import training_texts
from tflm.text.tokenizer import TokenizerConfig, train

_TEXT = flags.DEFINE_string("text", "python_docs", "A corpus: a file, a folder or a name.")
_MEGABYTES = flags.DEFINE_float("megabytes", 40.0, "How much of the text to use.")
_PROCESSES = flags.DEFINE_list("processes", ["1", "2"], "Processes for both, one row each.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often to measure each.")
_VOCABULARY = flags.DEFINE_integer("vocabulary_size", 8000, "Pieces to train.")
_ALGORITHM = flags.DEFINE_enum("algorithm", "unigram", ["unigram", "bpe"], "Of the pieces.")
_SAMPLE = flags.DEFINE_integer("sample_bytes", 5_000_000, "Text that the pieces are trained on.")


def _processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _write_sections(folder: Path, cache: Path, most_bytes: float) -> tuple[Path, list[str]]:
    config = DataConfig(corpus=_TEXT.value)
    path, sections, size = folder / "text.txt", [], 0
    with open(path, "w", encoding="utf-8", newline="") as file:
        for source in corpora.resolve(config, cache)["train"].files:
            for document in corpora.documents(source, config):
                if size >= most_bytes:
                    return path, sections
                file.write(document.text)
                sections.append(document.text)
                size += len(document.text.encode("utf-8"))
    return path, sections


def _seconds_of_store(text: Path, tokenizer, count: int) -> tuple[float, float, int]:
    with tempfile.TemporaryDirectory() as cache:
        start, worked = time.perf_counter(), _processor_seconds()
        store = build_store(DataConfig(corpus=str(text), workers=count), tokenizer, cache)
        seconds, worked = time.perf_counter() - start, _processor_seconds() - worked
        cards = store.card["splits"].values()
        return seconds, worked, sum(card["tokens"] - 2 * card["documents"] for card in cards)


def _count_ids(model: str, sections: list[str]) -> int:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=model)
    return sum(len(processor.encode(section)) for section in sections)


def _seconds_of_sentencepiece(
    model: Path, sections: list[str], count: int
) -> tuple[float, float, int]:
    shares = [(str(model), sections[i::count]) for i in range(count)]
    start, worked = time.perf_counter(), _processor_seconds()
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        ids = sum(pool.starmap(_count_ids, shares))
        pool.close()
        pool.join()
    return time.perf_counter() - start, _processor_seconds() - worked, ids


def main(argv):
    del argv
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text, sections = _write_sections(folder, corpora.cache_folder(), _MEGABYTES.value * 1e6)
        num_bytes = text.stat().st_size
        config = TokenizerConfig(vocabulary_size=_VOCABULARY.value, algorithm=_ALGORITHM.value)
        sample = training_texts(DataConfig(corpus=str(text)), _SAMPLE.value, 0, folder)
        tokenizer = train(config, sample)
        tokenizer.save(folder / "tokenizer")
        model = folder / "tokenizer" / "tokenizer.model"
        counts = list(map(int, _PROCESSES.value))
        ours, plain = ({count: [] for count in counts} for _ in range(2))
        for _ in range(_ROUNDS.value):
            for count in counts:
                ours[count].append(_seconds_of_store(text, tokenizer, count))
                plain[count].append(_seconds_of_sentencepiece(model, sections, count))
    print(
        f"{num_bytes / 1e6:.1f} MB, {_ALGORITHM.value} of {tokenizer.vocabulary_size} pieces, "
        f"medians of {_ROUNDS.value} rounds\n"
    )
    print(f"{'':24}{'processes':>10}{'seconds':>10}{'MB/s':>10}{'CPU s':>10}{'ids':>14}")
    for title, by_count in (("tflm build_store", ours), ("plain sentencepiece", plain)):
        for count, results in by_count.items():
            seconds = statistics.median(result[0] for result in results)
            worked = statistics.median(result[1] for result in results)
            rate = num_bytes / 1e6 / seconds
            print(
                f"{title:24}{count:10}{seconds:10.2f}{rate:10.2f}{worked:10.2f}{results[0][2]:14,}"
            )


def run():
    app.run(main)


if __name__ == "__main__":
    run()
