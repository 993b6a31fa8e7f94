"""How far K micro-batches of B rows are from one batch of K B rows, for every family of language models.

    python -m benchmarks.accumulation

Three steps of plain gradient descent (an adaptive optimizer would hide the size of a gradient), with clipping, a moving
average and, under mixed_float16, loss scaling, on rows of uneven padding. What is compared is the change of each weight
and of its average; the figure is the largest |one - other| / |other| over the weights.
"""

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

_PARTS = flags.DEFINE_integer("parts", 4, "K, micro-batches.", lower_bound=2)
_ROWS = flags.DEFINE_integer("rows", 2, "B, rows of each.", lower_bound=1)
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STEPS, LENGTH, VOCABULARY_SIZE = 3, 16, 300


def families() -> dict:
    from tflm.models.gpt import GPTConfig
    from tflm.models.rnn import RNNConfig
    from tflm.models.word2vec import Word2VecConfig

    size = {"vocabulary_size": VOCABULARY_SIZE, "hidden_dim": 64}
    return {
        "word2vec": Word2VecConfig(**size),
        "lstm": RNNConfig(cell="lstm", **size),
        "gru": RNNConfig(cell="gru", **size),
        "gpt": GPTConfig(num_layers=2, max_sequence_length=LENGTH, **size),
    }


def padded_batches(rows: int) -> list[dict]:
    """Random tokens; each row has another share of padding, the second one nothing but padding."""
    random = np.random.default_rng(0)
    batches = []
    for _ in range(STEPS):
        tokens = random.integers(0, VOCABULARY_SIZE, (rows, LENGTH + 1)).astype("int32")
        lengths = random.integers(1, LENGTH + 1, rows)
        lengths[1] = 0
        weights = (np.arange(LENGTH) < lengths[:, None]).astype("float32")
        batches.append(
            {
                "token_ids": tokens[:, :-1],
                "labels": tokens[:, 1:],
                "weights": weights / weights.sum(),
                "reset": np.zeros(rows, bool),
            }
        )
    return batches


def changes(config, precision: str, parts: int, batches) -> dict[str, np.ndarray]:
    """What the steps change in every weight and in every average."""
    from keras import ops

    from tflm import models
    from tflm.run import named_arrays
    from trainers import objectives, optimizers
    from trainers.averaging import averaged_weights
    from trainers.experiment import TrainConfig
    from trainers.objectives.causal import CausalConfig
    from trainers.train_step import TRAINING_MODELS

    train = TrainConfig(
        optimizer="sgd",
        batch_size=len(batches[0]["token_ids"]),
        accumulation=parts,
        learning_rate=1.0,
        warmup_steps=0,
        schedule="constant",
        weight_decay=0.0,
        ema=0.9,
    )
    model = models.build(config, 0, precision)
    objective = objectives.build(CausalConfig())
    training = TRAINING_MODELS["tensorflow"](model, objective, train.batch_size, parts)
    optimizer = optimizers.build(train, model.trainable_variables, precision)
    training.compile(optimizer=optimizer, jit_compile=False, auto_scale_loss=False)
    before = named_arrays(model.trainable_variables)
    for batch in batches:
        training.train_step({name: ops.convert_to_tensor(value) for name, value in batch.items()})
    after = named_arrays(model.trainable_variables)
    averages = averaged_weights(optimizer)
    result = {path: after[path] - before[path] for path in before}
    return result | {
        f"average of {path}": ops.convert_to_numpy(average.value) - before[path]
        for path, average in averages.items()
    }


def largest_difference(one: dict, other: dict) -> float:
    norm = np.linalg.norm
    return max(norm(one[path] - other[path]) / norm(other[path]) for path in other)


def main(argv):
    del argv
    parts, rows = _PARTS.value, _ROWS.value
    table = Table(
        title=f"{parts} x {rows} rows against {parts * rows}: largest relative difference of a weight's change",
        title_justify="left",
    )
    for column in ("family", *PRECISIONS):
        table.add_column(column, justify="left" if column == "family" else "right")
    batches = padded_batches(parts * rows)
    for name, config in families().items():
        cells = [
            largest_difference(
                changes(config, precision, parts, batches), changes(config, precision, 1, batches)
            )
            for precision in PRECISIONS
        ]
        table.add_row(name, *(f"{cell:.1e}" for cell in cells))
    Console(width=100).print(table)


if __name__ == "__main__":
    app.run(main)
