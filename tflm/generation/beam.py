"""Beam search over the `step` of a language model, the same for every family.

A beam has K places. Each step makes the most likely continuations of the hypotheses that grow; one that ends keeps its
place and grows no more, so that a beam of one place is greedy decoding, and a search ends by itself. What has ended is
compared by its log-probability over the length penalty of Wu et al. 2016, "Google's Neural Machine Translation System",
equation 14: ((5 + length) / 6) ** alpha. The search of a row stops early where none of what grows can still come among
the best: log-probabilities only fall, and the penalty of the longest target bounds what they are divided by.

The rows of a batch stand in lockstep, as in `decoding.py`: a row whose prompt is longer than the shortest one is fed
its own prompt until that ends. It is all one compiled loop.

Shapes: B batch, K beam, N n-best, P prompts, L prompts and targets, V vocabulary.
"""

import dataclasses

from keras import ops

from tflm.backend import repeat_while
from tflm.config import check_ranges
from tflm.errors import UserError
from tflm.generation.constraints import allowed
from tflm.generation.sampling import REMOVED

SOURCE_PREFIX = "source_"  # names what a state holds of the source: no step changes it


@dataclasses.dataclass(frozen=True)
class BeamConfig:
    """
    Attributes:
        beam_size: K, the hypotheses of a row, those that have ended among them; 1 is greedy decoding.
        num_best: N, how many of them are wanted.
        length_penalty: alpha; 0 compares log-probabilities as they are, and prefers short targets.
        max_length: tokens of a target at most, its EOS included.
        min_length: tokens of a target at least, its EOS not included.
        no_repeat_ngram: n; no n tokens in a row come twice in a target. 0: they may.
        early_stop: end a row's search where its N best are certain; the result is the same.
    """

    beam_size: int = 4
    num_best: int = 1
    length_penalty: float = 0.6
    max_length: int = 128
    min_length: int = 0
    no_repeat_ngram: int = 0
    early_stop: bool = True

    def __post_init__(self):
        check_ranges(
            self,
            beam_size=(1, 1000),
            num_best=(1, None),
            length_penalty=(0, 10),
            max_length=(1, None),
            min_length=(0, None),
            no_repeat_ngram=(0, None),
        )
        if self.num_best > self.beam_size:
            raise UserError(
                "`num_best` must be at most `beam_size`, which is all that is found. "
                f"Received: num_best={self.num_best}, beam_size={self.beam_size}."
            )
        if self.min_length >= self.max_length:
            raise UserError(
                "`min_length` must be below `max_length`, which counts EOS, too. "
                f"Received: min_length={self.min_length}, max_length={self.max_length}."
            )


def beam_search(step, state, prompts, config: BeamConfig, eos_id: int, **options):
    """The N best targets of every row, best first; arguments as of `grow`.

    What had not ended at `max_length` stands behind all that had.

    Returns:
        ids (B, N, L - 1) int32, without EOS and 0 behind it; lengths (B, N) int32, without EOS; and scores (B, N)
        float32, log-probability (EOS included) over the length penalty.
    """
    return best(grow(step, state, prompts, config, eos_id, **options), config)


def grow(
    step,
    state: dict,
    prompts,
    config: BeamConfig,
    eos_id: int,
    prompt_lengths=None,
    position=0,
    limits=None,
    room: int | None = None,
    blocked: tuple[int, ...] = (),
) -> dict:
    """The beams of a batch, grown as far as there is need or room.

    Args:
        step: (token_ids (B * K, 1), state, position) -> logits (B * K, 1, V) and the state, as of a LanguageModel.
        state: of B rows, that have read the tokens before `position`: a dict of tensors with B in front.
        prompts: (B, P) int32, what a text begins with, 0 behind it; of a target of an encoder-decoder just BOS.
        prompt_lengths: (B,) int32, from position + 1 to P; None: all are P.
        position: () int32, of the first token that is to be read.
        limits: (B,) int32, tokens of each target at most, EOS included; None: config.max_length. 0: a row is skipped.
        room: the longest target there is room for, L - P; None: config.max_length. A smaller one is a smaller cache.
        blocked: ids that are never generated.

    Returns:
        ids (B, K, L), prompts in front; scores (B, K), sums of log-probabilities; lengths (B, K), of targets with
        their EOS; ended (B, K) bool; complete (B,) bool, False where there was not the room to find out; and
        prompt_lengths.
    """
    size, count = config.beam_size, ops.shape(prompts)[0]
    room = config.max_length if room is None else room
    prompts = ops.cast(prompts, "int32")
    width = prompts.shape[1] + room
    if prompt_lengths is None:
        prompt_lengths = ops.full((count,), prompts.shape[1], "int32")
    if limits is None:
        limits = ops.full((count,), config.max_length, "int32")
    slots = ops.arange(size, dtype="int32")[None, :]  # (1, K)

    # The beam of a row begins with one hypothesis; the other places are empty.
    first = ops.logical_and(slots == 0, limits[:, None] > 0)
    texts = _repeated(ops.pad(prompts, [[0, 0], [0, room]]), size)
    beams = {
        "ids": ops.reshape(texts, (-1, size, width)),
        "scores": ops.cast(ops.where(first, 0.0, REMOVED), "float32"),
        "lengths": ops.zeros_like(first, "int32"),
        "ended": ops.zeros_like(first),
        "grows": first,
    }
    state = {name: _repeated(value, size) for name, value in state.items()}
    source = {name: value for name, value in state.items() if name.startswith(SOURCE_PREFIX)}
    state = {name: value for name, value in state.items() if name not in source}

    def goes_on(position, beams, state):
        return ops.logical_and(ops.any(beams["grows"]), position + 1 < width)

    def advance(position, beams, state):
        tokens = ops.take(beams["ids"], ops.reshape(position, (1,)), axis=2)  # (B, K, 1)
        logits, after = step(ops.reshape(tokens, (-1, 1)), {**source, **state}, position)
        state = {name: after[name] for name in state}
        log_probs = ops.log_softmax(ops.cast(logits[:, -1], "float32"), axis=-1)
        log_probs = ops.reshape(log_probs, (-1, size, logits.shape[-1]))
        # (B,) of a target with the token to come; below 1 in the prompt.
        length = position + 2 - prompt_lengths
        log_probs = allowed(
            log_probs, beams["ids"], position, length, prompt_lengths, config, eos_id, blocked
        )
        parents, beams = _extended(beams, log_probs, position, length, limits, eos_id)
        if config.early_stop:
            hopeful = _can_win(beams, limits, config)[:, None]
            beams["grows"] = ops.logical_and(beams["grows"], hopeful)
        if size > 1:
            state = {name: _picked_rows(value, parents) for name, value in state.items()}
        return position + 1, beams, state

    start = ops.cast(position, "int32")
    _, beams, _ = repeat_while(goes_on, advance, (start, beams, state))
    complete = ops.logical_not(ops.any(beams.pop("grows"), axis=1))
    return {**beams, "complete": complete, "prompt_lengths": prompt_lengths}


def _extended(beams: dict, log_probs, position, length, limits, eos_id: int):
    """Puts the likeliest continuations into the places of a beam that are free.

    Args:
        log_probs: (B, K, V) of the next token. length: (B,) of a target with it.

    Returns:
        parents (B, K) int32, the places that each place goes on from; and the beams after the token.
    """
    size, vocabulary_size = log_probs.shape[1:]
    slots = ops.zeros_like(beams["lengths"]) + ops.arange(size, dtype="int32")
    totals = ops.where(beams["grows"][..., None], beams["scores"][..., None] + log_probs, REMOVED)
    scores, index = ops.top_k(ops.reshape(totals, (-1, size * vocabulary_size)), size)
    index = ops.cast(index, "int32")

    # A row that is done keeps its beam, and one in its prompt the hypothesis that it is fed.
    in_prompt = length[:, None] < 1
    moves = ops.logical_and(ops.any(beams["grows"], axis=1)[:, None], ops.logical_not(in_prompt))
    free = ops.logical_not(beams["ended"])
    takes = ops.logical_and(moves, free)
    rank = ops.maximum(ops.cumsum(ops.cast(free, "int32"), axis=1) - 1, 0)  # of a free place
    index, scores = _picked(index, rank), _picked(scores, rank)
    parents = ops.where(takes, index // vocabulary_size, slots)
    tokens = ops.where(takes, index % vocabulary_size, 0)
    scores = ops.where(takes, scores, beams["scores"])

    ids = _picked(beams["ids"], parents)
    here = ops.arange(ids.shape[-1], dtype="int32") == position + 1  # (L,)
    ids = ops.where(ops.logical_and(here, takes[..., None]), tokens[..., None], ids)
    found = ops.logical_and(takes, scores > REMOVED / 2)
    ends = ops.logical_and(found, tokens == eos_id)
    within = ops.logical_and(ops.logical_not(ends), (length < limits)[:, None])
    return parents, {
        "ids": ids,
        "scores": scores,
        "lengths": ops.where(takes, length[:, None], beams["lengths"]),
        "ended": ops.logical_or(beams["ended"], ends),
        "grows": ops.where(moves, ops.logical_and(found, within), beams["grows"]),
    }


def _can_win(beams: dict, limits, config: BeamConfig):
    """(B,) bool: whether what grows may still come among the N best of what has ended."""
    normalized = beams["scores"] / _penalty(beams["lengths"], config)
    ended = ops.where(beams["ended"], normalized, REMOVED)
    worst = ops.top_k(ended, config.num_best)[0][:, -1]
    hopes = beams["scores"] / _penalty(limits, config)[:, None]
    return ops.max(ops.where(beams["grows"], hopes, REMOVED), axis=1) >= worst


def _penalty(lengths, config: BeamConfig):
    """Equation 14 of Wu et al. 2016, float32 of the shape of `lengths`."""
    return ((5.0 + ops.cast(lengths, "float32")) / 6.0) ** config.length_penalty


def best(found: dict, config: BeamConfig):
    """What `beam_search` returns, from what `grow` returns."""
    ended, lengths = found["ended"], found["lengths"]
    exists = found["scores"] > REMOVED / 2
    scores = ops.where(exists, found["scores"] / _penalty(lengths, config), REMOVED)
    # The place of each among all: how many have ended while it has not, or have a better score.
    level = ops.equal(ended[:, :, None], ended[:, None, :])
    higher = scores[:, :, None] < scores[:, None, :]
    slots = ops.arange(scores.shape[1])
    before = ops.logical_and(scores[:, :, None] == scores[:, None, :], slots[:, None] > slots)
    better = ops.where(level, ops.logical_or(higher, before), ended[:, None, :])  # (B, K, by K)
    order = ops.argsort(ops.sum(ops.cast(better, "int32"), axis=2), axis=1)
    order = ops.cast(order[:, : config.num_best], "int32")

    width = found["ids"].shape[-1]
    columns = ops.arange(width - 1, dtype="int32")
    targets = found["prompt_lengths"][:, None] + columns  # (B, L - 1)
    ids = _picked(found["ids"], order)
    rows = ops.arange(ops.shape(ids)[0], dtype="int32")[:, None]
    flat = ops.reshape(ops.swapaxes(ids, 1, 2), (-1, config.num_best))  # (B * L, N)
    cells = rows * width + ops.minimum(targets, width - 1)
    ids = ops.swapaxes(ops.take(flat, cells, axis=0), 1, 2)  # (B, N, L - 1)
    lengths = _picked(lengths - ops.cast(ended, "int32"), order)
    return ops.where(columns < lengths[..., None], ids, 0), lengths, _picked(scores, order)


def _repeated(value, size: int):
    """(B, ...) -> (B * K, ...), every row K times."""
    count, *rest = ops.shape(value)
    return ops.reshape(ops.broadcast_to(value[:, None], (count, size, *rest)), (-1, *rest))


def _picked(x, index):
    """(B, K, ...) and (B, N) -> (B, N, ...): for every row the places that `index` says."""
    rows = ops.arange(ops.shape(x)[0], dtype="int32")[:, None] * x.shape[1] + index
    return ops.take(ops.reshape(x, (-1, *x.shape[2:])), rows, axis=0)


def _picked_rows(x, index):
    """(B * K, ...) and (B, K) -> (B * K, ...), the same for a state."""
    rows = ops.arange(ops.shape(index)[0], dtype="int32")[:, None] * index.shape[1] + index
    return ops.take(x, ops.reshape(rows, (-1,)), axis=0)
