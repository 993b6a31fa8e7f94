"""Holds the artifact of a language model against the model it was made of.

What a fresh interpreter computes with it on held-out text is compared with the Keras model. The Keras side uses full
forward passes without a cache, so the exported cache, prefill and loop are judged by an independent path.

Shapes: W windows, T time, P prompts, V vocabulary.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from export import open_artifact
from export.fresh_interpreter import Proof, ask
from export.held_out import HeldOut
from export.thresholds import THRESHOLDS, Thresholds

# Where the two best logits are closer than this, rounding decides and either is right: 1e-5 of their size is some ten
# steps of float32.
TIE = 1e-5
LOGITS_BYTES = 64e6  # of logits that are compared one by one


@dataclasses.dataclass
class Reference:
    """What the Keras model computes on the held-out text; made once for all artifacts of a run.

    Attributes:
        logits: (w, T, V) of the first windows.
        nats, choices: (W, T), -log p of every label and the most likely token.
        continuations: per prompt the greedy tokens, ended before eos.
        rows: (P, R) int32, prompt and continuation padded with 0.
        gaps: per prompt and new token, the lead of the best logit over the second, relative to its size.
        first_logits: per prompt (V,), behind its last token.
    """

    logits: np.ndarray
    nats: np.ndarray
    choices: np.ndarray
    continuations: list[list[int]]
    rows: np.ndarray
    gaps: list[list[float]]
    first_logits: list[np.ndarray]


def reference(run, held_out: HeldOut) -> Reference:
    """The Keras model's side of the proof."""
    forward = _forward(run.model)
    windows = held_out.windows
    bytes_of_one = 4 * (windows.shape[1] - 1) * run.model.config.vocabulary_size
    at_once = min(max(int(LOGITS_BYTES // bytes_of_one), 1), len(windows))
    kept, nats, choices = None, [], []
    for first in range(0, len(windows), at_once):
        some = windows[first : first + at_once]
        logits = np.asarray(forward(some[:, :-1]))
        kept = logits if kept is None else kept
        for row, labels in zip(logits, some[:, 1:], strict=True):
            nats.append(open_artifact.negative_log_likelihood(row, labels))
            choices.append(row.argmax(-1))
    continuations, gaps, first_logits, rows = _continue(forward, run.tokenizer.eos_id, held_out)
    return Reference(
        kept, np.stack(nats), np.stack(choices), continuations, rows, gaps, first_logits
    )


def _forward(model):
    import tensorflow as tf

    return tf.function(lambda token_ids: model(token_ids, training=False), autograph=False)


def _continue(forward, eos_id: int, held_out: HeldOut):
    prompts = held_out.prompt_ids
    length = max(map(len, prompts)) + held_out.new_tokens
    rows = np.zeros((len(prompts), length), "int32")
    for row, prompt in zip(rows, prompts, strict=True):
        row[: len(prompt)] = prompt
    new = [[] for _ in prompts]
    gaps = [[] for _ in prompts]
    first_logits = [None] * len(prompts)
    ended = [False] * len(prompts)
    for step in range(held_out.new_tokens):
        # The padding behind a row changes nothing before it: every family looks only back.
        logits = np.asarray(forward(rows[:, :-1]))
        for i, prompt in enumerate(prompts):
            if ended[i]:
                continue
            last = logits[i, len(prompt) - 1 + step]
            if step == 0:
                first_logits[i] = last
            second, best = np.partition(last, -2)[-2:]
            gaps[i].append(float(best - second) / max(abs(float(best)), 1.0))
            token = int(last.argmax())
            if token == eos_id:
                ended[i] = True
                continue
            new[i].append(token)
            rows[i, len(prompt) + step] = token
    return new, gaps, first_logits, rows[:, :-1]


def prove(
    run,
    path: Path,
    kind: str,
    quantization: str,
    held_out: HeldOut,
    expected: Reference,
    max_length: int,
    with_text: bool,
) -> Proof:
    """
    Args:
        run: a tflm.run.Run.
        path: the artifact; for a SavedModel the folder of the version.
        kind: "saved_model" or "tflite".
        quantization: a key of THRESHOLDS.
        max_length: tokens of context the artifact is asked to hold.
        with_text: whether it has the signature `generate`.
    """
    request = {
        "kind": "language_model",
        "ask": ["generate"] if with_text else [],
        "max_length": max_length,
        "logits_of_windows": len(expected.logits),
        "prompts": held_out.prompts,
        "prompt_ids": held_out.prompt_ids,
        "new_tokens": held_out.new_tokens,
        "eos_id": run.tokenizer.eos_id,
    }
    arrays = {"windows": held_out.windows, "continuations": expected.rows}
    answer, results = ask(path, kind, request, arrays)

    nats = expected.nats.sum()
    bits = [x / math.log(2) / held_out.num_bytes for x in (nats, results["nats"].sum())]
    first = [results[f"first_logits_{i}"] for i in range(len(held_out.prompts))]
    figures = {
        "finite": bool(np.isfinite(results["logits"]).all() and np.isfinite(results["nats"]).all()),
        "max_logit_difference": float(np.abs(results["logits"] - expected.logits).max()),
        "max_logit_difference_after_prefill": float(
            max(np.abs(a - b).max() for a, b in zip(first, expected.first_logits, strict=True))
        ),
        "token_agreement": _token_agreement(results["forced_choices"], expected, held_out),
        "argmax_agreement": float((results["choices"] == expected.choices).mean()),
        "bits_per_byte": bits[1],
        "bits_per_byte_of_model": bits[0],
        "bits_per_byte_change": bits[1] - bits[0],
        "tokens_scored": int(expected.nats.size),
        "num_prompts": len(held_out.prompts),
    }
    continued = [results[f"continuation_{i}"].tolist() for i in range(len(held_out.prompts))]
    if with_text:
        generated = [
            row[len(prompt) : len(prompt) + count].tolist()
            for row, prompt, count in zip(
                results["generated"], held_out.prompt_ids, results["num_generated"], strict=True
            )
        ]
        figures["greedy_agreement_of_generate"] = _greedy_agreement(generated, expected)
        figures["sample"] = {"prompt": held_out.prompts[0], "text": answer.pop("completions")[0]}
    figures["greedy_agreement"] = _greedy_agreement(continued, expected)
    described = answer.pop("signatures")
    figures |= answer
    return Proof(figures, _judge_language_model(figures, THRESHOLDS[quantization]), described)


def _greedy_agreement(continued: list[list[int]], expected: Reference) -> float:
    """The share of prompts continued by the same tokens; a row is compared up to its first tie."""
    equal = 0
    for tokens, wanted, gaps in zip(continued, expected.continuations, expected.gaps, strict=True):
        tie = next((i for i, gap in enumerate(gaps) if gap < TIE), None)
        equal += tokens[:tie] == wanted[:tie]
    return equal / len(continued)


def _token_agreement(forced: np.ndarray, expected: Reference, held_out: HeldOut) -> float:
    """The share of Keras' greedy tokens that the artifact would choose in the same context; ties are left out."""
    same = total = 0
    for choices, prompt, wanted, gaps in zip(
        forced, held_out.prompt_ids, expected.continuations, expected.gaps, strict=True
    ):
        for i, token in enumerate(wanted):
            if gaps[i] >= TIE:
                total += 1
                same += int(choices[len(prompt) - 1 + i]) == token
    return same / total if total else 1.0


def _judge_language_model(figures: dict, limits: Thresholds) -> list[str]:
    if not figures["finite"]:
        return ["its logits are not finite"]
    failures = []
    largest = max(figures["max_logit_difference"], figures["max_logit_difference_after_prefill"])
    if limits.max_logit_difference is not None and not largest <= limits.max_logit_difference:
        failures.append(f"max |dlogit| {largest:.2g} is above {limits.max_logit_difference:g}")
    agreement = min(figures["token_agreement"], figures["argmax_agreement"])
    if not agreement >= limits.token_agreement:
        failures.append(f"token agreement {agreement:.4f} is below {limits.token_agreement:g}")
    greedy = min(figures["greedy_agreement"], figures.get("greedy_agreement_of_generate", 1.0))
    if limits.greedy_agreement is not None and not greedy >= limits.greedy_agreement:
        failures.append(
            f"greedy continuations agree for {greedy:.0%} of the prompts, "
            f"below {limits.greedy_agreement:.0%}"
        )
    change = figures["bits_per_byte_change"]
    if not abs(change) <= limits.bits_per_byte_change:
        failures.append(
            f"the change in bits per byte {change:+.2g} is above {limits.bits_per_byte_change:g}"
        )
    return failures
