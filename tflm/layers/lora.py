"""LoRA: a linear layer that was trained before learns a change of low rank, and nothing else of it moves.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", equation 3: W + A B with A (D, r) random and
B (r, F) zero at the beginning, so that the model begins as it was. Keras' Dense has it; here is which layers have it,
and what becomes of the rest.
"""

import keras
from keras import ops

from tflm.errors import UserError

LAST_FACTOR = "lora_kernel_b"  # Keras' name of B


def add_lora(model, rank: int) -> None:
    """Gives every linear layer of a built model that is wider than `rank` such a change, and holds all else.

    Raises:
        UserError: where no layer is.
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Dense) and min(layer.kernel.shape) > rank
    ]
    if not layers:
        raise UserError(
            f"LoRA of rank {rank} needs linear layers that are wider, of which a model of {model.name} has none. Lower "
            "model.lora_rank, or set it to 0."
        )
    for variable in model.trainable_variables:
        variable.trainable = False
    for layer in layers:
        layer.enable_lora(rank)


def merge_lora(model) -> None:
    """Adds what was learnt to every layer's own weights and sets it to zero: the same outputs, without it."""
    for layer in model._flatten_layers():
        if getattr(layer, "lora_enabled", False):
            layer._kernel.assign(layer.kernel)
            layer.lora_kernel_b.assign(ops.zeros_like(layer.lora_kernel_b))
