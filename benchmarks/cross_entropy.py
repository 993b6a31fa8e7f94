"""Time and peak memory of a training step of a GPT with a large vocabulary, its logits in one piece and in chunks.

    python -m benchmarks.cross_entropy --vocabularies=33278,50000 --tokens=4096

Each measurement is a process of its own, in turn; the milliseconds are medians over its steps, and the memory is the
largest resident size of the process. `--chunks` are numbers of logits held at once, 0 for all of them.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

from absl import app, flags

_VOCABULARIES = flags.DEFINE_list("vocabularies", ["33278", "50000"], "Sizes.")
_CHUNKS = flags.DEFINE_list("chunks", ["0", str(2**25)], "Logits held at once; 0 for all.")
_TOKENS = flags.DEFINE_integer("tokens", 4096, "In a batch.")
_LENGTH = flags.DEFINE_integer("sequence_length", 256, "Of a row.")
_WIDTH = flags.DEFINE_integer("hidden_dim", 128, "Of the model.")
_LAYERS = flags.DEFINE_integer("num_layers", 2, "Of the model.")
_STEPS = flags.DEFINE_integer("steps", 6, "The first one compiles and is not counted.")
_ROUNDS = flags.DEFINE_integer("rounds", 2, "How often each is measured.")
_JIT = flags.DEFINE_bool("jit_compile", True, "By XLA.")
_RECOMPUTE = flags.DEFINE_bool("recompute", False, "The blocks, in the backward pass.")
_PRECISION = flags.DEFINE_string("precision", "float32", "A policy.")
_MEASURE = flags.DEFINE_bool("measure", False, "Used by the program itself.")


def measure() -> dict:
    """The first of each list, in this process."""
    import numpy as np
    import tensorflow as tf

    from tflm import models
    from tflm.metrics import cross_entropy
    from tflm.models.gpt import GPTConfig
    from trainers import objectives, optimizers
    from trainers.experiment import TrainConfig
    from trainers.objectives.causal import CausalConfig
    from trainers.train_step import TensorFlowTrainingModel

    size, chunk = int(_VOCABULARIES.value[0]), int(_CHUNKS.value[0])
    cross_entropy.CHUNK_LOGITS = chunk or 2**62
    shape = (_TOKENS.value // _LENGTH.value, _LENGTH.value)
    config = GPTConfig(
        vocabulary_size=size,
        num_layers=_LAYERS.value,
        hidden_dim=_WIDTH.value,
        max_sequence_length=shape[1],
        recompute=_RECOMPUTE.value,
    )
    train = TrainConfig(batch_size=shape[0], sequence_length=shape[1], learning_rate=1e-3)
    model = models.build(config, precision=_PRECISION.value)
    training = TensorFlowTrainingModel(model, objectives.build(CausalConfig()), shape[0], 1)
    optimizer = optimizers.build(train, model.trainable_variables, _PRECISION.value)
    training.compile(optimizer=optimizer)
    random = np.random.default_rng(0)
    batch = {
        "token_ids": random.integers(4, size, shape).astype("int32"),
        "labels": random.integers(4, size, shape).astype("int32"),
        "weights": np.full(shape, 1 / _TOKENS.value, "float32"),
    }
    batch = {name: tf.constant(value) for name, value in batch.items()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = tf.function(training.train_step, jit_compile=_JIT.value, autograph=False)
    times = []
    for _ in range(_STEPS.value):
        started = time.perf_counter()
        value = float(step(batch)["loss"])
        times.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    milliseconds = 1000 * statistics.median(times[1:])
    return {"ms": milliseconds, "peak_mib": after / 1024, "before": before / 1024, "loss": value}


def main(argv):
    if _MEASURE.value:
        print(json.dumps(measure()))
        return
    keys = [(size, chunk) for size in _VOCABULARIES.value for chunk in _CHUNKS.value]
    results = {key: [] for key in keys}
    for _ in range(_ROUNDS.value):
        for size, chunk in keys:
            command = [sys.executable, "-m", "benchmarks.cross_entropy", *argv[1:], *sys.argv[1:]]
            command += ["--measure", f"--vocabularies={size}", f"--chunks={chunk}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
            results[size, chunk].append(json.loads(done.stdout.splitlines()[-1]))
    print(
        f"{'vocabulary':>10} {'logits at once':>14} {'ms a step':>10} {'peak, MiB':>10} {'loss':>9}"
    )
    for (size, chunk), rows in results.items():
        ms = statistics.median(row["ms"] for row in rows)
        peak = max(row["peak_mib"] for row in rows)
        name = f"{int(chunk):,}" if int(chunk) else "all"
        print(f"{int(size):>10,} {name:>14} {ms:>10.0f} {peak:>10,.0f} {rows[-1]['loss']:>9.5f}")


if __name__ == "__main__":
    app.run(main)
