"""Optimizers from a TrainConfig."""

import keras

from tflm.errors import unknown_name
from trainers.averaging import MeanSinceStart
from trainers.schedules import SCHEDULES, WarmupSchedule

OPTIMIZERS = {
    "adamw": lambda config, **common: keras.optimizers.AdamW(
        beta_1=config.beta_1, beta_2=config.beta_2, weight_decay=config.weight_decay, **common
    ),
    "lion": lambda config, **common: keras.optimizers.Lion(
        beta_1=config.beta_1, beta_2=config.beta_2, weight_decay=config.weight_decay, **common
    ),
    # Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", with the scale of Liu et al. 2025,
    # which takes the rates of AdamW. Embeddings, the output table and vectors get AdamW.
    "muon": lambda config, **common: keras.optimizers.Muon(
        adam_beta_1=config.beta_1,
        adam_beta_2=config.beta_2,
        weight_decay=config.weight_decay,
        adam_weight_decay=config.weight_decay,
        **common,
    ),
    "adagrad": lambda config, **common: keras.optimizers.Adagrad(
        weight_decay=config.weight_decay, **common
    ),
    "sgd": lambda config, **common: keras.optimizers.SGD(
        momentum=0.0, weight_decay=config.weight_decay, **common
    ),
}


def build(config, variables, precision: str):
    """The optimizer of a TrainConfig, with its slots made.

    Args:
        variables: the trainable variables. Vectors (gains and biases) are not decayed.
        precision: under mixed_float16 the loss is scaled dynamically (Micikevicius et al. 2018).
    """
    if config.optimizer not in OPTIMIZERS:
        raise unknown_name("train.optimizer", config.optimizer, OPTIMIZERS)
    common = {
        "learning_rate": learning_rate(config),
        "global_clipnorm": config.clip_norm or None,
        "use_ema": config.ema > 0 or config.average_after > 0,
        "name": config.optimizer,
    }
    if config.ema:
        common["ema_momentum"] = config.ema
    optimizer = OPTIMIZERS[config.optimizer](config, **common)
    if config.average_after:
        optimizer.mean_since_start = MeanSinceStart(optimizer)
    optimizer.exclude_from_weight_decay(var_list=[v for v in variables if len(v.shape) < 2])
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
    optimizer.build(variables)
    # Keras' fit ends by overwriting the weights with their average. Here it ends with every slice of the training,
    # and the training must go on from the weights themselves.
    optimizer.finalize_variable_values = lambda variables: None
    return optimizer


def learning_rate(config) -> WarmupSchedule:
    """The learning rate of a TrainConfig as a function of the step."""
    if config.schedule not in SCHEDULES:
        raise unknown_name("train.schedule", config.schedule, SCHEDULES)
    return WarmupSchedule(
        config.schedule,
        config.learning_rate,
        config.warmup_steps,
        config.steps,
        config.final_learning_rate,
    )
