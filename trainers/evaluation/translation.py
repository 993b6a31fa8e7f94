"""The numbers of a run that writes a target for a source, over all pairs of a text: its loss, and what it writes.

Texts are scored as they stand in the files. Only where a split is a part of the training corpus, chosen pair by pair,
are they what the tokenizers give back of them; and then pairs that are longer than the training's limits are missing.
"""

import dataclasses
import time

from tflm import config as configs
from tflm.data.corpora import DataConfig
from tflm.data.parallel import ParallelText
from tflm.data.parallel_corpora import read_parallel
from tflm.data.parallel_store import parallel_split
from tflm.metrics import rouge
from trainers import experiment as experiments
from trainers import objectives, speakers
from trainers.comparison.report import numbers
from trainers.evaluation import word_tables
from trainers.terminal import Progress, warn

LEAD_SENTENCES = (1, 3)  # of the baseline of summaries
LONGEST_TARGET = 256  # tokens, where the model has no smaller limit
SPEED_TEXTS = 128  # that decoding is timed on


def evaluate(run_dirs: str, split: str, file: str | None, search, average: int = 1) -> dict:
    """
    Args:
        run_dirs: a run folder, or several with commas between them: an ensemble.
        split: train, validation or test; its own text, where no `file` is given.
        file: a table of pairs or two parallel files with a comma, instead.
        search: BeamConfig.
        average: of how many of the last checkpoints the mean is taken; 1 for the best one.

    Returns:
        run_dir, step, text, pairs, seconds, and what `Seq2SeqConfig.scores` gives; of one run alone nats_per_token and
        perplexity_per_token; where ROUGE is asked for `lead`, the same scores of the first sentences of the sources.
    """
    speaker = speakers.load(run_dirs, None, "float32", average, say=warn)
    run = speaker.runs[0]
    result = {
        "run_dir": run_dirs,
        "step": [one.step for one in speaker.runs] if len(speaker.runs) > 1 else run.step,
        "average_checkpoints": average,
        "text": file or split,
    }
    tokenize = Progress("bytes")
    try:
        pairs = texts_of(run, split, file, tokenize)
        if len(speaker.runs) == 1:
            result |= loss_of(run, split, file, tokenize)
    finally:
        tokenize.close()
    return result | translate(speaker.translator(truncate=True), run, pairs, search)


def texts_of(run, split: str, file: str | None = None, progress=None) -> list[ParallelText]:
    """The pairs of a split of the run's text, or of another one.

    Raises:
        UserError: where there is none.
    """
    data = data_of(run)
    own = {"validation": data.validation_corpus, "test": data.test_corpus}.get(split)
    if file or own:
        return read_parallel(file or own, data)
    of_store = run.open_store(progress).split(split)
    return [
        ParallelText(
            run.source_tokenizer.decode(of_store.source(i)),
            run.tokenizer.decode(of_store.target(i)),
            i + 1,
        )
        for i in range(of_store.num_pairs)
    ]


def data_of(run) -> DataConfig:
    return configs.from_dict(DataConfig, run.experiment["data"], "data")


def loss_of(run, split: str, file: str | None = None, progress=None) -> dict:
    """nats_per_token and perplexity_per_token of the targets under the model, and scored_pairs.

    Pairs that are longer than those of the training are left out.
    """
    experiment = experiments.from_dict(run.experiment)
    # Everything is translated anyway, and better than greedily.
    objective = objectives.build(dataclasses.replace(experiment.objective, metric_pairs=0))
    objective.read_tokenizers(run.tokenizer, run.source_tokenizer)
    if file is None:
        pairs = run.open_store(progress).split(split)
    else:
        data, limits = data_of(run), objective.limits
        pairs = parallel_split(file, run.tokenizer, run.source_tokenizer, data, limits)
    measured = objective.evaluator(run.model, experiment.train, run.tokenizer)(pairs)
    kept = {name: measured[name] for name in ("nats_per_token", "perplexity_per_token")}
    return kept | {"scored_pairs": measured["num_pairs"]}


def translate(translator, run, pairs: list[ParallelText], search) -> dict:
    """Scores of what a Translator makes of the sources."""
    objective = experiments.from_dict(run.experiment).objective
    sources, references = [p.source for p in pairs], [p.target for p in pairs]
    progress = Progress("texts")
    started = time.perf_counter()
    try:
        hypotheses = translator.translate(sources, search, progress=progress)
    finally:
        progress.close()
    result = {
        "pairs": len(pairs),
        "seconds": time.perf_counter() - started,
        "truncated": translator.num_truncated,
        "beam_size": search.beam_size,
        "length_penalty": search.length_penalty,
        **objective.scores(hypotheses, references),
    }
    if objective.metric == "rouge":
        result["lead"] = {
            str(n): objective.scores([rouge.lead(source, n) for source in sources], references)
            for n in LEAD_SENTENCES
        }
    return result


def decoding_speed(translator, run, sources: list[str], search) -> float:
    """Tokens of targets, EOS included, that are written in a second, compilation not counted."""
    sources = sources[:SPEED_TEXTS]
    translator.translate(sources, search)  # compiles
    started = time.perf_counter()
    texts = translator.translate(sources, search)
    seconds = time.perf_counter() - started
    return sum(len(ids) + 1 for ids in run.tokenizer.encode_batch(texts)) / seconds


def lines_of(result: dict) -> list[str]:
    """The result as lines of a terminal."""
    steps = result["step"]
    steps = ", ".join(f"{s:,}" for s in steps) if isinstance(steps, list) else f"{steps:,}"
    average = result["average_checkpoints"]
    mean = f", the mean of the last {average} checkpoints" if average > 1 else ""
    rows = {
        "run": f"{result['run_dir']}, step {steps}{mean}",
        "text": result["text"],
        "pairs": f"{result['pairs']:,}",
        "beam": f"{result['beam_size']}, length penalty {result['length_penalty']:g}",
        "time": f"{numbers.duration(result['seconds'])}, compilation included",
    }
    if result["truncated"]:
        rows["cut"] = f"{result['truncated']:,} sources, longer than the model reads"
    if "nats_per_token" in result:
        rows["nats per token"] = f"{result['nats_per_token']:.4f}"
        if result["scored_pairs"] < result["pairs"]:
            rows["nats per token"] += (
                f", of {result['scored_pairs']:,} pairs: the others are longer than those of the training"
            )
        rows["perplexity per token"] = numbers.perplexity(result["perplexity_per_token"])
    rows |= _scores(result)
    for count, scores in result.get("lead", {}).items():
        rows[f"lead {count}"] = ", ".join(f"{k} {v}" for k, v in _figures(scores).items())
    return [word_tables.line(name, value) for name, value in rows.items()]


FIGURES = {
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
}


def _figures(scores: dict) -> dict[str, str]:
    return {name: f"{scores[key]:.2f}" for key, name in FIGURES.items() if key in scores}


def _scores(scores: dict) -> dict[str, str]:
    rows = _figures(scores)
    if "bleu" in scores:
        rows["BLEU"] += f" ({scores['bleu_signature']})"
        rows["chrF"] += f" ({scores['chrf_signature']})"
    if "rouge_l" in scores:
        rows["ROUGE by"] = scores["rouge_signature"]
    return rows
