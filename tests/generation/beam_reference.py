"""Beam search as one writes it down in numpy: whole texts through the model again at every step, no cache, no batch.

beam_of(model's log-probabilities, prompt, ...) -> hypotheses, best first
"""

import numpy as np


def log_softmax(logits) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def penalty(length: int, alpha: float) -> float:
    """Wu et al. 2016, equation 14."""
    return (5 + length) ** alpha / (5 + 1) ** alpha


def repeats(target: list[int], n: int) -> bool:
    """Whether the last n tokens stand in `target` twice."""
    grams = [tuple(target[i : i + n]) for i in range(len(target) - n + 1)]
    return len(grams) > 0 and grams[-1] in grams[:-1]


def beam_of(log_probs_of, prompt, eos_id, size, alpha, limit, min_length=0, ngram=0, blocked=()):
    """
    Args:
        log_probs_of: a list of texts of one length -> (N, V), of the token that follows each.
        limit: tokens of a target, EOS included.

    Returns:
        (target without EOS, score, whether it has ended), of all hypotheses.
    """
    growing, ended = [([], 0.0)], []
    for length in range(1, limit + 1):
        if not growing:
            break
        after = log_probs_of([[*prompt, *target] for target, _ in growing])
        candidates = []
        for (target, total), row in zip(growing, after, strict=True):
            for token, value in enumerate(row):
                if token in blocked or (token == eos_id and length <= min_length):
                    continue
                if ngram and repeats([*target, token], ngram):
                    continue
                candidates.append((total + value, [*target, token]))
        candidates.sort(key=lambda candidate: -candidate[0])
        kept = candidates[: size - len(ended)]
        growing = [(target, total) for total, target in kept if target[-1] != eos_id]
        ended += [
            (target[:-1], total / penalty(length, alpha))
            for total, target in kept
            if target[-1] == eos_id
        ]
    cut = [(target, total / penalty(limit, alpha)) for target, total in growing]
    return [
        (*found, has_ended)
        for some, has_ended in ((ended, True), (cut, False))
        for found in sorted(some, key=lambda hypothesis: -hypothesis[1])
    ]
