"""The numbers of one run over a whole text."""

import json
import math

from trainers.comparison.report import numbers
from trainers.comparison.runs import LANGUAGE_MODELS
from trainers.evaluation import held_out, nearest_words, run_samples
from trainers.terminal import Progress, warn

NUM_WORDS, NUM_NEIGHBOURS = 8, 8


def evaluate(run_dir, split: str = "validation", file: str | None = None) -> dict:
    """The numbers of a run over a whole text.

    Args:
        run_dir: the run folder.
        split: train, validation or test.
        file: a text file or folder to score instead.

    Returns:
        What the objective measures, and: run_dir, step, text, documents. A language model has the numbers of
        LanguageModelScore.to_dict(); word vectors have their loss and `nearest_words`.
    """
    from tflm import run as runs

    run = runs.load(run_dir, say=warn)
    tokenize, batches = Progress("characters" if file else "bytes"), Progress("batches")
    try:
        store = None
        if file is None:
            store = run.open_store(tokenize)
            text = store.split(split)
        else:
            text = held_out.split_of_file(file, run.tokenizer, run.experiment["data"], tokenize)
        tokenize.close()
        measured = run_samples.score(run, text, batches)
    finally:
        tokenize.close()
        batches.close()
    result = {
        "run_dir": str(run_dir),
        "step": run.step,
        "text": file or split,
        "documents": text.num_documents,
        **measured,
    }
    if run.experiment["objective"]["kind"] not in LANGUAGE_MODELS:
        result["nearest_words"] = _nearest(run, store.split("train") if store else text)
    return result


def _nearest(run, split) -> dict:
    from keras import ops

    words = nearest_words.words_of(run.tokenizer, split)
    wanted = nearest_words.choose_words([words], NUM_WORDS)
    vectors = ops.convert_to_numpy(run.model.embeddings())
    return dict(nearest_words.nearest_words(vectors, words, wanted, NUM_NEIGHBOURS))


def lines_of(result: dict) -> list[str]:
    """The result as lines of a terminal."""
    rows = {"run": f"{result['run_dir']}, step {result['step']:,}", "text": result["text"]}
    rows["documents"] = f"{result['documents']:,}"
    if "bits_per_byte" in result:
        rows["bytes"] = f"{result['num_bytes']:,}"
        rows["tokens predicted"] = f"{result['num_tokens']:,}"
        rows["bits per byte"] = numbers.bits(result["bits_per_byte"])
        rows["perplexity per token"] = numbers.perplexity(result["perplexity_per_token"])
        rows["perplexity per word"] = numbers.perplexity(result["perplexity_per_word"])
        rows["<unk>"] = numbers.share(result["unknown_share"])
    else:
        rows["loss"] = f"{result['loss']:.4f}"
    lines = [f"{name + ':':<22}{value}" for name, value in rows.items()]
    for word, neighbours in result.get("nearest_words", {}).items():
        found = ", ".join(f"{other} {cosine:.2f}" for other, cosine in neighbours)
        lines.append(f"{word + ':':<22}{found}")
    return lines


def json_of(result: dict) -> str:
    """The result as JSON; a number that is not finite is null."""
    clean = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in result.items()
    }
    return json.dumps(clean, indent=2, ensure_ascii=False) + "\n"
