"""Greedy continuations by full forward passes: what those of an artifact, with its cache, are held against.

Shapes: P prompts, R the longest prompt and what may follow it, V vocabulary.
"""

import dataclasses

import numpy as np

# Where the two best logits are closer than this, rounding decides and either is right: 1e-5 of their size is some ten
# steps of float32.
TIE = 1e-5
WIDTH_STEP = 16  # rows grow by so many places at once, so that few shapes are compiled


@dataclasses.dataclass
class Greedy:
    """
    Attributes:
        continuations: per prompt the greedy tokens, ended before eos.
        rows: (P, R - 1) int32, prompt and continuation padded with 0.
        gaps: per prompt and new token, the lead of the best logit over the second, relative to its size.
        first_logits: per prompt (V,), behind its last token.
    """

    continuations: list[list[int]]
    rows: np.ndarray
    gaps: list[list[float]]
    first_logits: list[np.ndarray]

    def agreement(self, continued: list[list[int]]) -> float:
        """The share of prompts continued by the same tokens; a row is compared up to its first tie."""
        equal = 0
        for tokens, wanted, gaps in zip(continued, self.continuations, self.gaps, strict=True):
            tie = next((i for i, gap in enumerate(gaps) if gap < TIE), None)
            equal += tokens[:tie] == wanted[:tie]
        return equal / len(continued)


def continue_greedily(passes, prompts: list[list[int]], new_tokens: int, eos_id: int) -> Greedy:
    """
    Args:
        passes: rows (P, T) int32 and a place in each, (P,) int32 -> the logits behind it, (P, V).
        prompts: at least one token each.
        new_tokens: at most, behind each of them.
    """
    length = max(map(len, prompts)) + new_tokens
    rows = np.zeros((len(prompts), length), "int32")
    for row, prompt in zip(rows, prompts, strict=True):
        row[: len(prompt)] = prompt
    new = [[] for _ in prompts]
    gaps = [[] for _ in prompts]
    first_logits = [None] * len(prompts)
    ended = [False] * len(prompts)
    for step in range(new_tokens):
        # The padding behind a row changes nothing before it: every family looks only back.
        places = np.array([len(prompt) - 1 + step for prompt in prompts], "int32")
        width = min(-(-(int(places.max()) + 1) // WIDTH_STEP) * WIDTH_STEP, length - 1)
        logits = np.asarray(passes(rows[:, :width], places))
        for i, prompt in enumerate(prompts):
            if ended[i]:
                continue
            last = logits[i]
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
        if all(ended):
            break
    return Greedy(new, rows[:, :-1], gaps, first_logits)


def logits_at(model):
    """The function for `continue_greedily` of a language model, without a cache."""
    import tensorflow as tf

    def logits_at(rows, places):
        hidden, _ = model.hidden(rows, training=False)
        return model.logits(tf.gather(hidden, places, batch_dims=1))

    return tf.function(logits_at, autograph=False, reduce_retracing=True)
