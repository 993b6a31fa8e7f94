"""LoRA: a linear layer that was trained before learns a change of low rank, and nothing else of it moves.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", equation 3: W + A B with A (D, r) random and
B (r, F) zero at the beginning, so that the model begins as it was. Keras' Dense has it; here is which layers have it,
and what becomes of the rest.
"""

import keras

from tflm.errors import UserError

FIRST_FACTOR, LAST_FACTOR = "lora_kernel_a", "lora_kernel_b"  # Keras' names of A and B


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


def merged_lora(arrays: dict) -> dict:
    """Weights by their path, what was learnt added to every layer's own: of the same model without the change."""
    merged = {path: value for path, value in arrays.items() if "/lora_" not in path}
    for path, last in arrays.items():
        if path.endswith(f"/{LAST_FACTOR}"):
            layer = path.removesuffix(f"/{LAST_FACTOR}")
            merged[f"{layer}/kernel"] = (
                merged[f"{layer}/kernel"] + arrays[f"{layer}/{FIRST_FACTOR}"] @ last
            )
    return merged
