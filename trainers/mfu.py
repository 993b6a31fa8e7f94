"""Model FLOPs utilisation: which part of the machine's matmul rate a training gets."""

from tflm.models.flops import training_flops_per_token
from trainers import machine
from trainers.terminal import say
from trainers.train_step import updates_rows


def per_token(experiment, objective, tokens_per_step: int, devices: int = 1) -> float | None:
    """Seconds that a token of the training takes at the machine's matmul rate: times tokens per second it is the MFU.

    Measures the machine once a process, and says what it found.

    Args:
        experiment: its precision is decided.
        devices: how many like this one train.

    Returns:
        None for a training that is not made of matrix products.
    """
    if updates_rows(objective):
        return None
    flops = training_flops_per_token(experiment.model, experiment.train.sequence_length)
    if flops is None:
        return None
    policy = experiment.train.precision
    rate = machine.matmul_rate(policy)
    who = "this machine multiplies" if devices == 1 else f"each of {devices} devices multiplies"
    say(
        f"{flops * tokens_per_step / 1e9:,.2f} GFLOP a step; {who} matrices of {policy} at "
        f"{rate / 1e9:,.0f} GFLOP/s"
    )
    return flops / rate / devices
