"""Whether XLA compiles a step and, on a processor, in which precision: what is fastest for this model here, measured.

There is no rule that could be written down: XLA wins where a step is many small operations, TensorFlow's own kernels
where it is few large products, and bfloat16 helps only processors that compute it, in products that are large enough.
"""

import dataclasses
import time

import keras

from tflm.errors import unknown_name
from trainers.feed import typical_steps

COMPILATIONS = ("auto", "on", "off")
# Compiling takes seconds, and so does finding out whether it is worth it.
FEWEST_STEPS = 200
TIMED_STEPS, TIMED_SECONDS = 5, 1.5  # at least
# bfloat16 changes the arithmetic, which a small gain is not worth.
LEAST_GAIN = 1.15


@dataclasses.dataclass(frozen=True)
class Measured:
    """
    Attributes:
        precision, compiled: what was measured.
        preparation: seconds until the first step was done.
        step: seconds of a step, the fastest of some: whatever disturbs one only makes it slower.
    """

    precision: str
    compiled: bool
    preparation: float
    step: float

    def seconds(self, steps: int) -> float:
        return self.preparation + steps * self.step

    def __str__(self):
        way = "with XLA" if self.compiled else "without XLA"
        return f"{self.precision} {way} {self.step * 1e3:.0f} ms a step"


def check(jit_compile: str) -> None:
    if jit_compile not in COMPILATIONS:
        raise unknown_name("train.jit_compile", jit_compile, COMPILATIONS)


def candidates(config, precisions: list[str], only_compiled: bool) -> list[tuple[str, bool]]:
    """Pairs (precision, compiled) that a TrainConfig leaves to choose from, the usual precision first.

    Args:
        config: its `jit_compile`, and its `steps`, which may be too few to measure anything.
        precisions: the usual one first.
        only_compiled: where nothing but XLA is worth trying.
    """
    ways = {"on": (True,), "off": (False,)}.get(config.jit_compile, (True, False))
    if config.jit_compile == "auto":
        if only_compiled or keras.backend.backend() == "jax":
            ways = (True,)
        elif config.steps < FEWEST_STEPS:
            ways, precisions = (False,), precisions[:1]
    # XLA has no fast kernels for bfloat16 on a processor.
    other = [(precision, False) for precision in precisions[1:] if False in ways]
    return [(precisions[0], compiled) for compiled in ways] + other


def fastest(build, choices: list[tuple[str, bool]], steps: int, say) -> tuple[str, bool]:
    """The one of `choices` that takes the least time for so many steps.

    Args:
        build: (precision, compiled) -> a TrainingModel and its source of batches. What it builds is thrown away.
        choices: as `candidates` gives them; the first one's precision is the usual one.
        steps: of the training.
    """
    if len(choices) == 1:
        return choices[0]
    measured = [_measure(build, *choice) for choice in choices]
    usual = [one for one in measured if one.precision == choices[0][0]]
    best = min(usual, key=lambda one: one.seconds(steps))
    other = min(measured, key=lambda one: one.seconds(steps))
    if best.seconds(steps) > LEAST_GAIN * other.seconds(steps):
        best = other
    say(f"Measured: {'; '.join(map(str, measured))}. Taken: {best}.")
    return best.precision, best.compiled


def _measure(build, precision: str, compiled: bool) -> Measured:
    import tensorflow as tf

    started = time.perf_counter()
    training, source = build(precision, compiled)
    step = tf.function(training.train_step, jit_compile=compiled, autograph=False)
    # Of several shapes the commonest is measured; each is compiled once.
    typical, *others = typical_steps(source)
    batch = {name: tf.convert_to_tensor(value) for name, value in source.batch(typical).items()}
    built = time.perf_counter()

    def seconds() -> float:
        begun = time.perf_counter()
        keras.ops.convert_to_numpy(step(batch)["loss"])
        return time.perf_counter() - begun

    first = seconds()
    preparation = built - started + first * (1 + len(others))
    timed = [seconds() for _ in range(TIMED_STEPS)]
    while sum(timed) < TIMED_SECONDS:
        timed.append(seconds())
    return Measured(precision, compiled, preparation, min(timed))
