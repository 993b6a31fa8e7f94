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
from export.greedy_reference import TIE, Greedy, continue_greedily, logits_at
from export.held_out import HeldOut
from export.thresholds import THRESHOLDS, Thresholds, past_limits

LOGITS_BYTES = 64e6  # of logits that are compared one by one


@dataclasses.dataclass
class Reference:
    """What the Keras model computes on the held-out text; made once for all artifacts of a run.

    Attributes:
        logits: (w, T, V) of the first windows.
        nats, choices: (W, T), -log p of every label and the most likely token.
        greedy: what it continues the prompts with.
    """

    logits: np.ndarray
    nats: np.ndarray
    choices: np.ndarray
    greedy: Greedy


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
    greedy = continue_greedily(
        logits_at(run.model), held_out.prompt_ids, held_out.new_tokens, run.tokenizer.eos_id
    )
    return Reference(kept, np.stack(nats), np.stack(choices), greedy)


def _forward(model):
    import tensorflow as tf

    return tf.function(lambda token_ids: model(token_ids, training=False), autograph=False)


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
    arrays = {"windows": held_out.windows, "continuations": expected.greedy.rows}
    answer, results = ask(path, kind, request, arrays)

    nats = expected.nats.sum()
    bits = [x / math.log(2) / held_out.num_bytes for x in (nats, results["nats"].sum())]
    first = [results[f"first_logits_{i}"] for i in range(len(held_out.prompts))]
    figures = {
        "finite": bool(np.isfinite(results["logits"]).all() and np.isfinite(results["nats"]).all()),
        "max_logit_difference": float(np.abs(results["logits"] - expected.logits).max()),
        "max_logit_difference_after_prefill": float(
            max(
                np.abs(a - b).max()
                for a, b in zip(first, expected.greedy.first_logits, strict=True)
            )
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
        figures["greedy_agreement_of_generate"] = expected.greedy.agreement(generated)
        figures["sample"] = {"prompt": held_out.prompts[0], "text": answer.pop("completions")[0]}
    figures["greedy_agreement"] = expected.greedy.agreement(continued)
    described = answer.pop("signatures")
    figures |= answer
    return Proof(figures, _judge_language_model(figures, THRESHOLDS[quantization]), described)


def _token_agreement(forced: np.ndarray, expected: Reference, held_out: HeldOut) -> float:
    """The share of Keras' greedy tokens that the artifact would choose in the same context; ties are left out."""
    same = total = 0
    greedy = expected.greedy
    for choices, prompt, wanted, gaps in zip(
        forced, held_out.prompt_ids, greedy.continuations, greedy.gaps, strict=True
    ):
        for i, token in enumerate(wanted):
            if gaps[i] >= TIE:
                total += 1
                same += int(choices[len(prompt) - 1 + i]) == token
    return same / total if total else 1.0


def _judge_language_model(figures: dict, limits: Thresholds) -> list[str]:
    if not figures["finite"]:
        return ["its logits are not finite"]
    return past_limits(
        limits,
        difference=max(
            figures["max_logit_difference"], figures["max_logit_difference_after_prefill"]
        ),
        agreement=min(figures["token_agreement"], figures["argmax_agreement"]),
        greedy=min(figures["greedy_agreement"], figures.get("greedy_agreement_of_generate", 1.0)),
        greedy_of="greedy continuations agree for {:.0%} of the prompts",
        change=figures["bits_per_byte_change"],
    )
