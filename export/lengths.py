"""What is fixed in an artifact: tokens a prefill reads at once, tokens the cache and a source hold, the beam search."""

import dataclasses

from tflm.errors import UserError

DEFAULT_PREFILL = (16, 64)
DEFAULT_SOURCE = 128
DEFAULT_BEAM_SIZE = 4
DEFAULT_LENGTH_PENALTY = 0.6  # alpha of Wu et al. 2016, equation 14


@dataclasses.dataclass(frozen=True)
class Lengths:
    """
    Attributes:
        prefill: ascending; a signature is made for each.
        cache: S; None where the state has a fixed size.
        source: tokens of a source, eos among them; None where there is no encoder.
        beam_size, length_penalty: of a beam search inside the graph.
    """

    prefill: tuple[int, ...]
    cache: int | None
    source: int | None = None
    beam_size: int = DEFAULT_BEAM_SIZE
    length_penalty: float = DEFAULT_LENGTH_PENALTY


def settled(
    model,
    prefill: tuple[int, ...] | None,
    cache: int | None,
    source: int | None = None,
    beam_size: int = DEFAULT_BEAM_SIZE,
    length_penalty: float = DEFAULT_LENGTH_PENALTY,
) -> Lengths:
    """The lengths asked for; None stands for what suits the model.

    Raises:
        UserError: where they do not fit the model or each other.
    """
    limit = model.max_sequence_length
    if limit is None:
        if cache is not None:
            raise UserError(
                f"--cache_length is for models with a cache; the state of a {model.name} model has a "
                f"fixed size. Received: {cache}; leave it out."
            )
    else:
        cache = limit if cache is None else cache
        if not 2 <= cache <= limit:
            raise UserError(
                f"--cache_length must be from 2 to the model's context of {limit}. Received: {cache}."
            )
    source = _source(model, source)
    if beam_size < 1:
        raise UserError(f"--beam_size must be at least 1. Received: {beam_size}.")
    if length_penalty < 0:
        raise UserError(f"--length_penalty must be at least 0. Received: {length_penalty}.")
    if source is not None:
        if prefill:
            raise UserError(
                f"--prefill_lengths are for models without an encoder. Received: "
                f"{','.join(map(str, prefill))} for a {model.name} model; leave them out."
            )
        return Lengths((), cache, source, beam_size, length_penalty)
    if prefill is None:
        prefill = tuple(n for n in DEFAULT_PREFILL if cache is None or n < cache)
    for n in prefill:
        if n < 1 or (cache is not None and n > cache):
            most = "" if cache is None else f" and at most the cache's {cache}"
            raise UserError(f"--prefill_lengths must be at least 1{most}. Received: {n}.")
    return Lengths(tuple(sorted(set(prefill))), cache, None, beam_size, length_penalty)


def _source(model, source: int | None) -> int | None:
    if not hasattr(model, "max_source_length"):
        if source is not None:
            raise UserError(
                f"--source_length is for models with an encoder. Received: {source} for a "
                f"{model.name} model; leave it out."
            )
        return None
    limit = model.max_source_length
    source = (limit or DEFAULT_SOURCE) if source is None else source
    if source < 2 or (limit is not None and source > limit):
        most = "" if limit is None else f" and at most the model's {limit}"
        raise UserError(f"--source_length must be at least 2{most}. Received: {source}.")
    return source
