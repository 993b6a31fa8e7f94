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
        name: tf.TensorSpec(np.shape(value), np.asarray(value).dtype)
        for name, value in source.batch(start).items()
    }
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(4)
