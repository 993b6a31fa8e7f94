"""Learning-rate schedules: linear warm-up, then a curve down to a fraction of the peak."""

import math

import keras
from keras import ops

# name -> the factor on the peak rate; `t` goes from 0 at the end of the warm-up to 1 at the last step, `final` is where
# it ends, `decayed` is sqrt(warmup / step).
SCHEDULES = {
    "cosine": lambda t, final, decayed: final + (1 - final) * 0.5 * (1 + ops.cos(math.pi * t)),
    "linear": lambda t, final, decayed: 1 - (1 - final) * t,
    "constant": lambda t, final, decayed: ops.ones_like(t),
    "inverse_sqrt": lambda t, final, decayed: decayed,  # Vaswani et al. 2017, section 5.3
}


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """
    Args:
        kind: one of SCHEDULES.
        peak: the learning rate at the end of the warm-up.
        warmup_steps, steps: of the warm-up and of the whole training.
        final: fraction of the peak at the last step, for cosine and linear.
    """

    def __init__(self, kind: str, peak: float, warmup_steps: int, steps: int, final: float):
        super().__init__()
        self.curve = SCHEDULES[kind]
        self.peak, self.warmup_steps, self.steps, self.final = peak, warmup_steps, steps, final

    def __call__(self, step):
        step = ops.cast(step, "float32")
        warmup = float(max(self.warmup_steps, 1))
        t = ops.clip((step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1), 0.0, 1.0)
        decayed = ops.sqrt(warmup / ops.maximum(step, warmup))
        curve = self.curve(t, self.final, decayed)
        # The first update has a rate too: step 0 is 1 / warmup of the way.
        return self.peak * ops.where(step < self.warmup_steps, (step + 1.0) / warmup, curve)
