"""Holds an artifact that translates against the model it was made of.

What a fresh interpreter computes with it on held-out pairs is compared with the Keras model: the logits of the held-out
targets, given the source and the target before them; greedy translations token by token; their BLEU, and that of the
texts which `translate` gives. The Keras side uses full forward passes without a cache, but for the beam search.

Shapes: P pairs, N tokens of the targets, V vocabulary, B pairs at once.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from export import open_artifact
from export.fresh_interpreter import Proof, ask
from export.greedy_reference import TIE, Greedy, continue_greedily
from export.held_out_pairs import HeldOutPairs
from export.source_reader import reader_of
from export.thresholds import THRESHOLDS, Thresholds, past_limits

PAIRS_AT_ONCE = 16
NUM_FORCED = 64  # pairs whose targets are read token by token
LOGITS_BYTES = 32e6  # of logits that are compared one by one
TEXTS_AT_ONCE = 16
SCORES = {"bleu": "BLEU", "rouge_l": "ROUGE-L"}


@dataclasses.dataclass
class Reference:
    """What the Keras model computes on the held-out pairs; made once for all artifacts of a run.

    Attributes:
        logits: (n, V), of the targets of the first `num_kept` pairs, one behind the other.
        nats, choices, ties: (N,), of the first NUM_FORCED pairs: -log p, the most likely token, and whether another
            one is as likely.
        greedy: per batch of PAIRS_AT_ONCE pairs.
        translations: the texts of the beam search; None until an artifact with one is proved.
    """

    logits: np.ndarray
    num_kept: int
    nats: np.ndarray
    choices: np.ndarray
    ties: np.ndarray
    greedy: list[Greedy]
    translations: list[str] | None = None

    @property
    def continuations(self) -> list[list[int]]:
        return [row for batch in self.greedy for row in batch.continuations]

    def agreement(self, continued: list[list[int]]) -> float:
        """The share of sources with the same greedy translation; each is compared up to its first tie."""
        equal = 0.0
        for i, batch in enumerate(self.greedy):
            rows = continued[i * PAIRS_AT_ONCE : (i + 1) * PAIRS_AT_ONCE]
            equal += batch.agreement(rows) * len(rows)
        return equal / len(continued)


def reference(run, pairs: HeldOutPairs) -> Reference:
    """The Keras model's side of the proof."""
    reader = reader_of(run)
    greedy = []
    for first in range(0, len(pairs.sources), PAIRS_AT_ONCE):
        sources = pairs.source_ids[first : first + PAIRS_AT_ONCE]
        passes, prompts = reader.full_passes(sources)
        greedy.append(continue_greedily(passes, prompts, pairs.new_tokens, run.tokenizer.eos_id))
    bytes_of_one = 4 * run.model.config.vocabulary_size
    kept, room, num_kept = [], LOGITS_BYTES, 0
    nats, choices, ties = [], [], []
    forced = list(zip(pairs.source_ids, pairs.target_ids, strict=True))[:NUM_FORCED]
    for source, target in forced:
        logits = reader.logits_of(source, target)  # (T, V)
        room -= bytes_of_one * len(logits)
        if room >= 0 or not kept:
            kept.append(logits)
            num_kept += 1
        nats.append(open_artifact.negative_log_likelihood(logits, np.asarray(target)))
        choices.append(logits.argmax(-1))
        second, best = np.moveaxis(np.partition(logits, -2)[:, -2:], -1, 0)
        ties.append((best - second) / np.maximum(np.abs(best), 1.0) < TIE)
    flat = (np.concatenate(values) for values in (kept, nats, choices, ties))
    logits, nats, choices, ties = flat
    return Reference(logits, num_kept, nats, choices, ties, greedy)


def prove(
    run,
    path: Path,
    kind: str,
    quantization: str,
    pairs: HeldOutPairs,
    expected: Reference,
    max_length: int,
    source_length: int | None,
    beam=None,
) -> Proof:
    """
    Args:
        run: a tflm.run.Run.
        path: the artifact; for a SavedModel the folder of the version.
        kind: "saved_model" or "tflite".
        quantization: a key of THRESHOLDS.
        max_length: tokens of the target that the artifact is asked to hold; of both sides without an encoder.
        source_length: of the source whose reading is timed; None without an encoder.
        beam: the BeamConfig of `translate`, or None where the artifact takes no strings.
    """
    tokenizer = run.tokenizer
    asked = ["score"] if kind == "saved_model" else []
    if beam is not None:
        asked.append("translate")
        if expected.translations is None:
            expected.translations = _translations(run, pairs, beam)
    request = {
        "kind": "translator",
        "ask": asked,
        "prompted": source_length is None,
        "max_length": max_length,
        "source_length": source_length,
        "num_kept": expected.num_kept,
        "num_forced": NUM_FORCED,
        "new_tokens": pairs.new_tokens,
        "bos_id": tokenizer.bos_id,
        "eos_id": tokenizer.eos_id,
        "texts": pairs.sources,
        "texts_at_once": TEXTS_AT_ONCE,
    }
    arrays = _flat("source", pairs.source_ids) | _flat("target", pairs.target_ids)
    answer, results = ask(path, kind, request, arrays, "open_translator.py")

    largest = [np.abs(results["logits"] - expected.logits).max()]
    if "score_logits" in results:
        largest.append(np.abs(results["score_logits"] - expected.logits).max())
    num_bytes = sum(len(text.encode()) for text in pairs.targets[:NUM_FORCED])
    bits = [
        float(x.sum()) / math.log(2) / max(num_bytes, 1) for x in (expected.nats, results["nats"])
    ]
    sure = ~expected.ties
    same = (results["choices"] == expected.choices)[sure]
    greedy = np.split(results["greedy"], np.cumsum(results["greedy_lengths"])[:-1])
    greedy = [row.tolist() for row in greedy]
    figures = {
        "finite": bool(np.isfinite(results["logits"]).all() and np.isfinite(results["nats"]).all()),
        "max_logit_difference": float(max(largest)),
        "token_agreement": float(same.mean()) if len(same) else 1.0,
        "greedy_agreement": expected.agreement(greedy),
        "bits_per_byte": bits[1],
        "bits_per_byte_of_model": bits[0],
        "bits_per_byte_change": bits[1] - bits[0],
        "nats_per_token": float(results["nats"].mean()),
        "nats_per_token_of_model": float(expected.nats.mean()),
        "tokens_scored": int(expected.nats.size),
        "num_pairs": len(pairs.sources),
    }
    texts = ([tokenizer.decode(row) for row in rows] for rows in (greedy, expected.continuations))
    figures |= _scores(run, "", *texts, pairs)
    if beam is not None:
        translations = answer.pop("translations")
        equal = [a == b for a, b in zip(translations, expected.translations, strict=True)]
        figures["beam_agreement"] = sum(equal) / len(equal)
        figures |= _scores(run, "beam_", translations, expected.translations, pairs)
        figures |= {"beam_size": beam.beam_size, "length_penalty": beam.length_penalty}
        figures["sample"] = {"source": pairs.sources[0], "translation": translations[0]}
    described = answer.pop("signatures")
    figures |= answer
    return Proof(figures, _judge(figures, THRESHOLDS[quantization]), described)


def _translations(run, pairs: HeldOutPairs, beam) -> list[str]:
    """What the beam search of `tflm.generation` finds with the Keras model."""
    # EOS is a token of its search, too.
    longest = min(beam.max_length, pairs.new_tokens + 1)
    beam = dataclasses.replace(beam, max_length=longest)
    return reader_of(run).translator().translate(pairs.sources, beam)


def _scores(run, prefix: str, texts: list[str], texts_of_model: list[str], pairs) -> dict:
    """BLEU, or ROUGE-L of a run that is scored by it, of the artifact and of the model."""
    objective = run.experiment["objective"]
    words = objective.get("metric_words", "")

    def score(found):
        if objective.get("metric") == "rouge":
            from tflm.metrics.rouge import rouge_scores

            return "rouge_l", rouge_scores(found, pairs.targets, words or "words")["rouge_l"]
        from tflm.metrics.translation import translation_scores

        return "bleu", translation_scores(found, pairs.targets, words or "13a")["bleu"]

    (metric, value), (_, of_model) = score(texts), score(texts_of_model)
    name = f"{prefix}{metric}"
    return {name: value, f"{name}_of_model": of_model, f"{name}_change": value - of_model}


def _flat(name: str, rows: list[list[int]]) -> dict:
    return {
        f"{name}_ids": np.asarray([token for row in rows for token in row], "int32"),
        f"{name}_lengths": np.asarray([len(row) for row in rows]),
    }


def _judge(figures: dict, limits: Thresholds) -> list[str]:
    if not figures["finite"]:
        return ["its logits are not finite"]
    failures = past_limits(
        limits,
        difference=figures["max_logit_difference"],
        agreement=figures["token_agreement"],
        greedy=figures["greedy_agreement"],
        greedy_of="greedy translations agree for {:.0%} of the sources",
        change=figures["bits_per_byte_change"],
    )
    for name, title in SCORES.items():
        for prefix, of in (("", ""), ("beam_", " of the beam search")):
            change = figures.get(f"{prefix}{name}_change", 0.0)
            if not change >= -limits.score_loss:
                failures.append(
                    f"{title}{of} falls by {-change:.2f}, more than {limits.score_loss:g}"
                )
    agreement = figures.get("beam_agreement", 1.0)
    if not agreement >= limits.beam_agreement:
        failures.append(
            f"the beam search gives the same text for {agreement:.0%} of the sources, "
            f"below {limits.beam_agreement:.0%}"
        )
    return failures
