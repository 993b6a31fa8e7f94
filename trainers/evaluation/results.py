"""The numbers of one run over a whole text, and of its word vectors."""

import json
import math

from trainers.comparison.report import numbers
from trainers.evaluation import (
    held_out,
    nearest_words,
    run_samples,
    translation,
    word_tables,
    word_vectors,
)
from trainers.terminal import Progress, warn

NUM_WORDS, NUM_NEIGHBOURS = 8, 8
# From 0 to 100, as the programs of the data sets print them; the thresholds are differences of scores.
ANSWER_SCORES = (
    "exact_match",
    "f1",
    "has_answer_exact_match",
    "has_answer_f1",
    "no_answer_exact_match",
    "best_f1",
    "best_f1_threshold",
)

# What objectives measure, beside bits per byte -> how it is called in a terminal.
SHARES = {
    "entity_f1": "F1 of entities",
    "entity_precision": "precision",
    "entity_recall": "recall",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "calibration_error": "calibration error",
    "masked_accuracy": "masked words found",
    "next_sentence_accuracy": "pairs told apart",
    "half_found": "halves found",
}
OTHERS = {
    "matthews_correlation": "Matthews' r",
    "nats_per_masked_token": "nats per mask",
    "nats_per_text": "nats per text",
    "loss": "loss",
}


def evaluate(
    run_dir,
    split: str | None = "validation",
    file: str | None = None,
    tasks: word_vectors.WordTasks | None = None,
    average: int = 1,
) -> dict:
    """The numbers of a run over a whole text, and of its word vectors.

    Args:
        run_dir: the run folder.
        split: train, validation or test; None, without a file, for no text.
        file: a text file or folder to score instead.
        tasks: what to measure of the word vectors.
        average: of how many of the last checkpoints the mean is taken; 1 for the best one.

    Returns:
        run_dir, step. Of a text: what the objective measures, and text, documents; a language model has the numbers of
        LanguageModelScore.to_dict(), a classifier its accuracy, a tagger the F1 of entities, a reader of questions
        exact match and F1, word vectors their loss and `nearest_words`. With tasks: `word_vectors`, see
        `word_vectors.evaluate`.
    """
    from tflm import run as runs

    run = runs.load(run_dir, say=warn, average=average)
    result = {"run_dir": str(run_dir), "step": run.step}
    if file is not None or split is not None:
        result |= _score_text(run, split, file)
    if tasks is not None:
        from tflm.vectors.of_run import of_run

        result["word_vectors"] = _score_words(of_run(run), tasks, run)
    return result


def evaluate_vectors(path: str, tasks: word_vectors.WordTasks) -> dict:
    """The numbers of the word vectors in a file: `vectors`, the path, and `word_vectors`."""
    from tflm import vectors

    return {"vectors": str(path), "word_vectors": _score_words(vectors.read(path), tasks)}


def _score_words(vectors, tasks, run=None) -> dict:
    progress = Progress("questions")
    try:
        return word_vectors.evaluate(vectors, tasks, run, progress)
    finally:
        progress.close()


def _score_text(run, split: str | None, file: str | None) -> dict:
    tokenize, batches = Progress("characters" if file else "bytes"), Progress("batches")
    try:
        store = None
        if file is None:
            store = run.open_store(tokenize)
            text = store.split(split)
        else:
            text = held_out.split_for(run, file, tokenize)
        tokenize.close()
        measured = run_samples.score(run, text, batches)
    finally:
        tokenize.close()
        batches.close()
    result = {"text": file or split, "documents": text.num_documents, **measured}
    has_task = run.experiment["objective"]["kind"] in held_out.TASKS
    if hasattr(run.model, "tables") and not has_task and not run.is_language_model:
        result["nearest_words"] = _nearest(run, store.split("train") if store else text)
    return result


def _nearest(run, split) -> dict:
    from keras import ops

    words = nearest_words.words_of(run.tokenizer, split)
    wanted = nearest_words.choose_words([words], NUM_WORDS)
    vectors = ops.convert_to_numpy(run.model.embeddings())
    return dict(nearest_words.nearest_words(vectors, words, wanted, NUM_NEIGHBOURS))


def lines_of(result: dict) -> list[str]:
    """The result as lines of a terminal, without the word vectors' (see `word_tables`)."""
    if "beam_size" in result:
        return translation.lines_of(result)
    if "vectors" in result:
        rows = {"vectors": result["vectors"]}
    else:
        rows = {"run": f"{result['run_dir']}, step {result['step']:,}"}
    if "text" in result:
        rows |= _rows_of_text(result)
    lines = [word_tables.line(name, value) for name, value in rows.items()]
    return lines + word_tables.neighbour_lines(result.get("nearest_words", {}))


def _rows_of_text(result: dict) -> dict:
    rows = {"text": result["text"], "documents": f"{result['documents']:,}"}
    if "bits_per_byte" in result:
        rows["bytes"] = f"{result['num_bytes']:,}"
        rows["tokens predicted"] = f"{result['num_tokens']:,}"
        rows["bits per byte"] = numbers.bits(result["bits_per_byte"])
        rows["perplexity per token"] = numbers.perplexity(result["perplexity_per_token"])
        rows["perplexity per word"] = numbers.perplexity(result["perplexity_per_word"])
        rows["<unk>"] = numbers.share(result["unknown_share"])
    elif "exact_match" in result:
        rows |= {"windows": rows.pop("documents"), "questions": f"{result['num_questions']:,}"}
        rows |= {
            name.replace("_", " "): f"{result[name]:.2f}"
            for name in ANSWER_SCORES
            if name in result
        }
    else:
        for names, form in ((SHARES, ".2%"), (OTHERS, ".4f")):
            rows |= {title: f"{result[k]:{form}}" for k, title in names.items() if k in result}
    return rows


def json_of(result: dict) -> str:
    """The result as JSON; a number that is not finite is null."""
    return json.dumps(_finite(result), indent=2, ensure_ascii=False) + "\n"


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
