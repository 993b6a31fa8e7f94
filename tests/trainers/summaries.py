"""Runs of a comparison with numbers made up, for tests of what is done with them."""

from pathlib import Path

from trainers.comparison.artifacts import Artifact
from trainers.comparison.ranking import Comparison, ranked
from trainers.comparison.runs import RunSummary

COUNTS = {
    "documents": 10,
    "tokens": 1000,
    "bytes": 3500,
    "characters": 3400,
    "words": 600,
    "unknown_tokens": 0,
    "unknown_share": 0.0,
    "duplicates_removed": 7,
    "shared_removed": 3,
}
CARD = {
    "corpus": {"train": "novels"},
    "tokenizer": {"kind": "sentencepiece", "vocabulary_size": 2000},
    "documents": "section",
    "files": 4,
    "skipped_files": {"unknown_kind": 1, "bad": 2},
    "shared_by_validation_and_test": 5,
    "splits": {"train": COUNTS, "validation": COUNTS, "test": COUNTS},
}


def summary(name: str, bits: float | None = None, **fields) -> RunSummary:
    """A run that needs `bits` bits per byte; None for word vectors."""
    score = None
    if bits is not None:
        score = {
            "bits_per_byte": bits,
            "perplexity_per_word": 321.0,
            "perplexity_per_token": 12.0,
            "unknown_share": 0.0,
        }
    training = [
        {
            "step": s,
            "loss": 9 - s / 100,
            "bits_per_byte": 4 - s / 100,
            "tokens": 64 * s,
            "seconds": s / 2,
        }
        for s in range(1, 101)
    ]
    validation = [
        {"step": s, "nats": 8000.0 - s, "num_tokens": 1000, "bits_per_byte": 4.1 - s / 100}
        | {"tokens": 64 * s, "seconds": s / 2}
        for s in (50, 100)
    ]
    if bits is None:
        training = [{k: v for k, v in line.items() if k != "bits_per_byte"} for line in training]
        validation = [{"step": 100, "loss": 2.5, "tokens": 6400, "seconds": 50.0}]
    values = {
        "run_dir": Path(name),
        "name": name,
        "family": "gpt",
        "objective": "skip_gram" if bits is None else "causal",
        "experiment": {"model": {"family": "gpt", "hidden_dim": 64}, "train": {"steps": 100}},
        "step": 100,
        "parameters": 1_234_567,
        "score": score,
        "unranked": "word vectors" if bits is None else None,
        "seconds": 75.0,
        "tokens": 6400,
        "flops_per_token": None if bits is None else 3_000_000,
        "finished": True,
        "training": training,
        "validation": validation,
        "card": CARD,
        "artifacts": [Artifact("tflite int8", 2_500_000, 100, 1234.5, 0.9999, 0.001)],
        "samples": [] if bits is None else [f"continued by {name}"],
        "nearest": [("ocean", [("sea", 0.91), ("lake", 0.8)])],
    }
    return RunSummary(**(values | fields))


def comparison(*runs: RunSummary, prompts=("Once ",)) -> Comparison:
    return Comparison("validation", list(prompts), ranked(list(runs)))
