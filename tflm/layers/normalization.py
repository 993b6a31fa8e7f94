"""The two normalisations of a Transformer, by name."""

import keras

from tflm.errors import unknown_name

NORMALIZATIONS = {
    "layer_norm": keras.layers.LayerNormalization,  # Ba et al. 2016
    "rms_norm": keras.layers.RMSNormalization,  # Zhang and Sennrich 2019
}


def normalization(kind: str, name: str, epsilon: float = 1e-5) -> keras.layers.Layer:
    if kind not in NORMALIZATIONS:
        raise unknown_name("normalization", kind, NORMALIZATIONS)
    return NORMALIZATIONS[kind](epsilon=epsilon, name=name)
