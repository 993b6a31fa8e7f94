"""fastText's classifier here and in the fastText package, on the same files with the same settings, in turn.

    python -m benchmarks.fasttext_classifier --train=train.tsv --test=test.tsv --fasttext_python=other/bin/python

`--fasttext_python` is a Python that has the package fasttext (or fasttext-wheel); without it only tflm is measured.
Both get one file of words with spaces between them, cut by --words. Seconds: of fastText those of train_supervised,
which reads the file; of tflm those of the whole training (vocabulary, token store, compiling, validation, checkpoint),
and of its steps alone, compiling included.
"""

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from absl import app, flags

_TRAIN = flags.DEFINE_string(
    "train", None, "Labelled texts, see tflm/data/labelled.py.", required=True
)
_TEST = flags.DEFINE_string("test", None, "Labelled texts.", required=True)
_WORDS = flags.DEFINE_enum(
    "words", "whitespace", ["whitespace", "characters", "jieba"], "What the words of a text are."
)
_FASTTEXT_PYTHON = flags.DEFINE_string("fasttext_python", None, "A Python with fasttext.")
_EPOCHS = flags.DEFINE_integer("epochs", 5, "Passes over the training texts.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 0.5, "At the start; it falls to 0.")
_HIDDEN_DIM = flags.DEFINE_integer("hidden_dim", 100, "Of the vectors.")
_WORD_NGRAMS = flags.DEFINE_integer("word_ngrams", 2, "Words of the longest n-gram.")
_BUCKETS = flags.DEFINE_integer("buckets", 200_000, "Rows that n-grams share.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1024, "Texts a step of tflm.")
_CHUNK_TEXTS = flags.DEFINE_integer("chunk_texts", 16, "Texts whose updates tflm adds up.")
_THREADS = flags.DEFINE_integer("threads", 2, "Of fastText.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often to measure each.")

_FASTTEXT = """
import json, sys, time, fasttext
train, test, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
start = time.perf_counter()
model = fasttext.train_supervised(train, verbose=0, **settings)
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "accuracy": model.test(test)[1]}))
"""


def _cut(text: str) -> list[str]:
    if _WORDS.value == "characters":
        return [character for character in text if not character.isspace()]
    if _WORDS.value == "jieba":
        import jieba

        return [word for word in jieba.cut(text) if not word.isspace()]
    return text.split()


def _write(path: str, to: Path) -> Path:
    from tflm.data.labelled import read_labelled

    texts, labels = read_labelled(path)
    rows = zip(labels, texts, strict=True)
    lines = [f"__label__{label.replace(' ', '-')} {' '.join(_cut(text))}\n" for label, text in rows]
    to.write_text("".join(lines), encoding="utf-8")
    return to


def _tflm(train: Path, test: Path, folder: Path) -> dict:
    from trainers import fit, recipes

    experiment = recipes.load("fasttext_classifier")
    experiment.data.corpus, experiment.data.test_fraction = str(train), 0.0
    experiment.data.validation_corpus = str(test)
    experiment.tokenizer.split = "whitespace"
    experiment.model.hidden_dim = _HIDDEN_DIM.value
    experiment.model.word_ngrams = _WORD_NGRAMS.value
    experiment.model.buckets = _BUCKETS.value
    experiment.objective.chunk_texts = _CHUNK_TEXTS.value
    experiment.train.epochs = _EPOCHS.value
    experiment.train.batch_size = _BATCH_SIZE.value
    experiment.train.learning_rate = _LEARNING_RATE.value
    experiment.train.eval_every = 1 << 30
    start = time.perf_counter()
    result = fit.train(experiment, folder)
    seconds = time.perf_counter() - start
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "accuracy": result.metrics["accuracy"],
        "seconds": seconds,
        "steps": json.loads(lines[-1])["seconds"],
    }


def _fasttext(train: Path, test: Path) -> dict:
    settings = {
        "dim": _HIDDEN_DIM.value,
        "wordNgrams": _WORD_NGRAMS.value,
        "bucket": _BUCKETS.value,
        "epoch": _EPOCHS.value,
        "lr": _LEARNING_RATE.value,
        "thread": _THREADS.value,
    }
    command = [_FASTTEXT_PYTHON.value, "-c", _FASTTEXT, str(train), str(test), json.dumps(settings)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(argv):
    del argv
    from tflm import program

    program.load_backend()
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = _write(_TRAIN.value, folder / "train.txt")
        test = _write(_TEST.value, folder / "test.txt")
        for number in range(_ROUNDS.value):
            ours.append(_tflm(train, test, folder / f"run{number}"))
            if _FASTTEXT_PYTHON.value:
                theirs.append(_fasttext(train, test))

    def median(results, key):
        return statistics.median(result[key] for result in results)

    print(
        f"\n{_EPOCHS.value} epochs at {_LEARNING_RATE.value}, medians of {_ROUNDS.value} rounds\n"
    )
    print(f"{'':28}{'accuracy':>10}{'seconds':>10}")
    print(f"{'tflm':28}{median(ours, 'accuracy'):10.4f}{median(ours, 'seconds'):10.2f}")
    print(f"{'  its steps alone':28}{'':>10}{median(ours, 'steps'):10.2f}")
    if theirs:
        title = f"fastText, {_THREADS.value} threads"
        print(f"{title:28}{median(theirs, 'accuracy'):10.4f}{median(theirs, 'seconds'):10.2f}")
        ratio = median(theirs, "seconds") / median(ours, "steps")
        print(f"\nfastText's seconds / those of tflm's steps: {ratio:.2f}")


def run():
    app.run(main)


if __name__ == "__main__":
    run()
