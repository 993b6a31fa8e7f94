"""The static lengths of an artifact: how many tokens a prefill reads at once, how many the cache holds."""

import dataclasses

from tflm.errors import UserError

DEFAULT_PREFILL = (16, 64)


@dataclasses.dataclass(frozen=True)
class Lengths:
    """
    Attributes:
        prefill: ascending; a signature is made for each.
        cache: S; None where the state has a fixed size.
    """

    prefill: tuple[int, ...]
    cache: int | None


def settled(model, prefill: tuple[int, ...] | None, cache: int | None) -> Lengths:
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
    if prefill is None:
        return Lengths(tuple(n for n in DEFAULT_PREFILL if cache is None or n < cache), cache)
    for n in prefill:
        if n < 1 or (cache is not None and n > cache):
            most = "" if cache is None else f" and at most the cache's {cache}"
            raise UserError(f"--prefill_lengths must be at least 1{most}. Received: {n}.")
    return Lengths(tuple(sorted(set(prefill))), cache)
