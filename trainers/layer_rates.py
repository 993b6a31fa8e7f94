"""What of an encoder that knows something already is trained, and how fast.

The lower a layer, the less it should move: its rate is `train.layer_decay` times that of the layer above it (Howard and
Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section 3.2, have 1 / 2.6; Clark et al.
2020, "ELECTRA", 0.8). `train.unfreeze_every` lets the layers join in one by one from the top, each so many steps after
the one above it (Howard and Ruder, section 3.3); what stands on the encoder moves from the beginning.
"""

import re

from tflm import models
from tflm.config import check_choices
from tflm.errors import UserError

FROZEN = ("", "embeddings", "encoder")
LAYER = re.compile(r"(?:block|layer|cell)_(\d+)")


def freeze(model, what: str) -> None:
    """Holds a part of the encoder: its tables of embeddings, or all of it.

    Args:
        what: one of FROZEN.
    """
    encoder = models.encoder_of(model)
    for variable in encoder.trainable_variables if what else ():
        if what == "encoder" or "embedding" in variable.path:
            variable.trainable = False


def check(experiment) -> None:
    """Raises UserError where `train` asks for something of an encoder that the model does not have."""
    train = experiment.train
    check_choices(train, "train.", frozen=FROZEN)
    for field, usual in (("frozen", ""), ("layer_decay", 1.0), ("unfreeze_every", 0)):
        if getattr(train, field) != usual and not hasattr(experiment.model, "encoder"):
            raise UserError(
                f"train.{field} is for a model that stands on an encoder, such as a classifier. Received: "
                f"{getattr(train, field)!r} with a model of {models.family_of(experiment.model)}."
            )


def apply_layer_rates(optimizer, model, layer_decay: float, unfreeze_every: int) -> None:
    """Lets every variable of the encoder have a rate of its own.

    Args:
        optimizer: of Keras, built; its weight decay is left as it is.
        model: of a family with an encoder.
        layer_decay: 1 for the same rate everywhere.
        unfreeze_every: steps; 0 for all layers from the beginning.
    """
    if layer_decay == 1 and not unfreeze_every:
        return
    from keras import ops

    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # where the loss is scaled
    below = [steps_below_top(model, v) for v in model.trainable_variables]
    update = optimizer.update_step

    def update_step(gradient, variable, learning_rate):
        # As Keras' own optimizers find their slots.
        depth = below[optimizer._get_variable_index(variable)]
        rate = learning_rate * layer_decay**depth
        if unfreeze_every and depth:
            joined = ops.greater_equal(optimizer.iterations, depth * unfreeze_every)
            rate = rate * ops.cast(joined, rate.dtype)
        update(gradient, variable, rate)

    optimizer.update_step = update_step


def steps_below_top(model, variable) -> int:
    """How many layers a variable is below what stands on the encoder; 0 for that itself."""
    encoder = models.encoder_of(model)
    parts = variable.path.split("/")
    if encoder is model or encoder.name not in parts:
        return 0
    top = encoder.config.num_layers
    for part in parts:
        if found := LAYER.fullmatch(part):
            return top - int(found[1])
    return top + 1 if any("embedding" in part for part in parts) else 1
