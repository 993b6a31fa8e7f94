"""What a beam search must not generate: an end too early, n-grams a second time, tokens that no text has.

Shapes: B batch, K beam, L prompts and targets, V vocabulary.
"""

from keras import ops

from tflm.backend import add_rows
from tflm.generation.sampling import REMOVED


def allowed(log_probs, ids, position, length, prompt_lengths, config, eos_id: int, blocked):
    """Removes what a beam must not generate.

    Args:
        log_probs: (B, K, V) of the next token.
        ids: (B, K, L), prompts and targets. position: () int32, of the last token of each.
        length: (B,), of a target with the next token, EOS counted.
        prompt_lengths: (B,).
        config: BeamConfig: its min_length and no_repeat_ngram.
        blocked: ids that never come.

    Returns:
        (B, K, V).
    """
    columns = ops.arange(log_probs.shape[-1], dtype="int32")
    for token in blocked:
        log_probs = ops.where(columns == token, REMOVED, log_probs)
    if config.min_length:
        too_short = (length <= config.min_length)[:, None, None]
        log_probs = ops.where(ops.logical_and(too_short, columns == eos_id), REMOVED, log_probs)
    if config.no_repeat_ngram:
        n = config.no_repeat_ngram
        log_probs = _without_repeated(log_probs, ids, position, prompt_lengths, n)
    return log_probs


def _without_repeated(log_probs, ids, position, prompt_lengths, n: int):
    """(B, K, V), the tokens removed that would make n tokens of the target up to `position` come a second time."""
    num_places = ids.shape[-1] - n + 1
    if num_places < 1:
        return log_probs
    places = ops.arange(num_places, dtype="int32")
    # An n-gram that stands in the target as a whole, and begins with the n - 1 last tokens.
    inside = ops.logical_and(places >= prompt_lengths[:, None], places + n - 1 <= position)
    repeats = ops.logical_and(inside[:, None, :], ids[..., :num_places] >= 0)  # (B, K, places)
    for i in range(n - 1):
        place = ops.reshape(ops.maximum(position - n + 2 + i, 0), (1,))
        same = ids[..., i : i + num_places] == ops.take(ids, place, axis=2)
        repeats = ops.logical_and(repeats, same)
    size, vocabulary_size = log_probs.shape[1:]
    rows = ops.arange(ops.shape(log_probs)[0] * size, dtype="int32")
    cells = ops.reshape(rows * vocabulary_size, (-1, size, 1)) + ids[..., n - 1 :]
    removed = add_rows(
        ops.reshape(log_probs, (-1, 1)),
        ops.reshape(cells, (-1,)),
        ops.reshape(ops.where(repeats, REMOVED, 0.0), (-1, 1)),
    )
    return ops.reshape(removed, (-1, size, vocabulary_size))
