"""Our variables from their tensors, and back, by a table of names.

Shapes: I what goes into a linear layer, O what comes out.
"""

import dataclasses

import numpy as np

from tflm.errors import UserError


@dataclasses.dataclass(frozen=True)
class Name:
    """
    Attributes:
        ours: a variable by its path in the model, the model's own name left out.
        theirs: the tensors that it is made of, side by side.
        transposed: whether theirs are (O, I), as of torch's Linear, where ours are (I, O).
        optional: whether they may be missing there: a head that a folder was saved without.
        sizes: the width of each of `theirs` in ours, where there are several.
    """

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False
    optional: bool = False
    sizes: tuple[int, ...] = ()


def linear(ours: str, *theirs: str, bias: bool, sizes=(), optional=False) -> list[Name]:
    """The names of a linear layer of torch, or of several that are one of ours."""
    names = [Name(f"{ours}/kernel", tuple(f"{t}.weight" for t in theirs), True, optional, sizes)]
    if bias:
        names.append(
            Name(f"{ours}/bias", tuple(f"{t}.bias" for t in theirs), False, optional, sizes)
        )
    return names


def norm(ours: str, theirs: str, optional=False) -> list[Name]:
    """The names of a layer normalisation."""
    return [
        Name(f"{ours}/gamma", (f"{theirs}.weight",), optional=optional),
        Name(f"{ours}/beta", (f"{theirs}.bias",), optional=optional),
    ]


def to_ours(names: list[Name], tensors: dict[str, np.ndarray], where) -> dict[str, np.ndarray]:
    """Arrays by our path; those of an optional name that is not there are left out.

    Raises:
        UserError: for a tensor that is missing; names the first of them, and how many there are.
    """
    missing = [t for name in names if not name.optional for t in name.theirs if t not in tensors]
    if missing:
        raise UserError(
            f"{where} lacks the tensor {missing[0]} and {len(missing) - 1} more. Give the folder of a whole model."
        )
    arrays = {}
    for name in names:
        if any(t not in tensors for t in name.theirs):
            continue
        parts = [np.asarray(tensors[t], np.float32) for t in name.theirs]
        parts = [part.T if name.transposed else part for part in parts]
        arrays[name.ours] = np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
    return arrays


def to_theirs(names: list[Name], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors by their name, contiguous float32; what `to_ours` would make the same arrays of."""
    tensors = {}
    for name in names:
        if name.ours not in arrays:
            continue
        parts = [arrays[name.ours]]
        if len(name.theirs) > 1:
            parts = np.split(parts[0], np.cumsum(name.sizes)[:-1], axis=-1)
        for theirs, part in zip(name.theirs, parts, strict=True):
            part = part.T if name.transposed else part
            tensors[theirs] = np.ascontiguousarray(part, np.float32)
    return tensors
