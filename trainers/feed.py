"""Batches as Keras' `fit` takes them."""

import keras
import numpy as np


def dataset(source, start: int, end: int):
    """Batches `start` to `end` - 1: nothing is skipped over, batch k is computed from k."""

    def batches():
        for step in range(start, end):
            yield source.batch(step)

    if keras.backend.backend() != "tensorflow":
        return ((batch,) for batch in batches())  # Keras takes a generator of tuples only
    import tensorflow as tf

    signature = {
        name: tf.TensorSpec(
            [None] * np.ndim(value) if shapes_vary(source) else np.shape(value),
            np.asarray(value).dtype,
        )
        for name, value in source.batch(start).items()
    }
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(4)


def shapes_vary(source) -> bool:
    """Whether the batches of a source have one of several shapes; see `trainers.objectives`."""
    return len(getattr(source, "shapes", ())) > 1


def typical_steps(source, among: int = 64) -> list[int]:
    """A step for each shape that the first batches have, the commonest shape first."""
    if not shapes_vary(source):
        return [0]
    steps = {}
    for step in range(among):
        shapes = tuple(sorted((name, np.shape(v)) for name, v in source.batch(step).items()))
        steps.setdefault(shapes, []).append(step)
    return [found[0] for found in sorted(steps.values(), key=len, reverse=True)]


class Reordered:
    """The batches of a source in another order: batch i is that of steps[i]."""

    def __init__(self, source, steps: list[int]):
        self._source, self._steps = source, steps
        self.shapes = getattr(source, "shapes", ())

    def batch(self, i: int) -> dict:
        return self._source.batch(self._steps[i])
