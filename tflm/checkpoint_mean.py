"""The mean of the last checkpoints of a run, in place of one of them.

Weights that one training went through at its end, averaged, are better than each of them (Vaswani et al. 2017, section
6.1, average the last 5 or 20). Nothing is trained for it, and nothing is written.
"""

import dataclasses

import numpy as np

from tflm.errors import UserError


def mean_of_last(folder, count: int, step: int | None = None):
    """A checkpoint with the mean weights of the last `count` ones, and all else of the newest of them.

    Random states, which are whole numbers, are the newest one's.

    Args:
        folder: a tflm.run.RunFolder.
        count: of checkpoints, at least 1.
        step: of the newest that counts; None for the newest there is.

    Raises:
        UserError: where there are fewer, or one of them is damaged.
    """
    if count < 1:
        raise UserError(f"The checkpoints to average must be 1 or more. Received: {count}.")
    steps = [s for s in folder.steps() if step is None or s <= step]
    if step is not None and step not in steps:
        folder.load_step(step)  # says which there are
    if len(steps) < count:
        raise UserError(
            f"{folder.path} has {len(steps)} checkpoints{'' if step is None else f' up to step {step}'}, too few to "
            f"average {count}. Train with a larger --config.train.keep_checkpoints, or average fewer."
        )
    newest, *others = (folder.load_step(s) for s in reversed(steps[-count:]))
    # One after the other, in double precision: the memory does not grow with their number.
    sums = {
        path: array.astype(np.float64)
        for path, array in newest.model.items()
        if np.issubdtype(array.dtype, np.floating)
    }
    for checkpoint in others:
        for path, total in sums.items():
            total += checkpoint.model[path]
    means = {p: (total / count).astype(newest.model[p].dtype) for p, total in sums.items()}
    return dataclasses.replace(newest, model=newest.model | means)
