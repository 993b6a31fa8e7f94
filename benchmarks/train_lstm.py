"""Training speed of an LSTM language model, beside the same model of PyTorch's `nn.LSTM`, in turn.

    python -m benchmarks.train_lstm --torch_python=PATH/bin/python --text=wiki.train.tokens
    python -m benchmarks.train_lstm --torch_python=... --text=... --hidden_dim=650 --sequence_length=35

The model is the one of pytorch/examples' word_language_model: an embedding, two layers, the output tied to the
embedding, plain gradient descent with clipping, the state carried from one batch to the next. PyTorch runs eagerly and
compiled (--torch_compile), in float32 and under bfloat16 autocast; the fastest of them counts. Tokens per second are
medians over the steps after the first ones, so compilation does not count. The words that PyTorch reads are drawn at
random, which its speed does not depend on.
"""

import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.programs import log_of, median_speed, run

_TEXT = flags.DEFINE_string("text", None, "Words with spaces between them.", required=True)
_TORCH_PYTHON = flags.DEFINE_string("torch_python", sys.executable, "Interpreter with torch.")
_LAYERS = flags.DEFINE_integer("num_layers", 2, "Layers.")
_WIDTH = flags.DEFINE_integer("hidden_dim", 200, "Units of a layer.")
_LENGTH = flags.DEFINE_integer("sequence_length", 20, "Tokens of a row.")
_BATCH = flags.DEFINE_integer("batch_size", 20, "Rows of a batch.")
_VOCABULARY = flags.DEFINE_integer("vocabulary_size", 10_000, "Words.")
# With fewer steps tflm does not measure what is fastest.
_STEPS = flags.DEFINE_integer("steps", 200, "Steps of each training.", lower_bound=200)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.", lower_bound=1)
_PRECISION = flags.DEFINE_string("precision", "auto", "Of tflm.")
_COMPILE = flags.DEFINE_bool("torch_compile", False, "Measure torch.compile, too.")
WARM_UP_STEPS = 20

TORCH = """
import json, statistics, sys, time, torch
layers, width, length, rows, words, steps, skipped, half, compiled = map(int, sys.argv[1:])
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(words, width)
        self.lstm = torch.nn.LSTM(width, width, layers)
        self.output = torch.nn.Linear(width, words)
        self.output.weight = self.embedding.weight
    def forward(self, ids, labels, state):
        hidden, state = self.lstm(self.embedding(ids), state)
        logits = self.output(hidden)
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten()), state
model = Model()
run = torch.compile(model) if compiled else model
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
ids = torch.randint(0, words, (steps + 1, length + 1, rows))
state = tuple(torch.zeros(layers, rows, width) for _ in range(2))
times = []
for step in range(steps):
    start = time.perf_counter()
    state = tuple(s.detach().float() for s in state)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(half)):
        loss, state = run(ids[step, :-1], ids[step, 1:], state)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    optimizer.step()
    times.append(time.perf_counter() - start)
print(json.dumps(length * rows / statistics.median(times[skipped:])))
"""


def run_torch(half: bool, compiled: bool) -> float:
    settings = (
        *(_LAYERS.value, _WIDTH.value, _LENGTH.value, _BATCH.value, _VOCABULARY.value),
        *(_STEPS.value, WARM_UP_STEPS, int(half), int(compiled)),
    )
    return json.loads(run([_TORCH_PYTHON.value, "-c", TORCH, *map(str, settings)]).split("\n")[-2])


def run_tflm(folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    run(
        [
            *(sys.executable, "-m", "trainers.train", "--config=lstm_small"),
            *(f"--corpus={_TEXT.value}", f"--run_dir={folder}", f"--precision={_PRECISION.value}"),
            *("--config.tokenizer.kind=word", "--config.tokenizer.split=whitespace"),
            f"--config.tokenizer.vocabulary_size={_VOCABULARY.value}",
            f"--config.model.vocabulary_size={_VOCABULARY.value}",
            f"--config.model.num_layers={_LAYERS.value}",
            f"--config.model.hidden_dim={_WIDTH.value}",
            f"--config.model.embedding_dim={_WIDTH.value}",
            "--config.model.dropout=0",
            *("--config.train.optimizer=sgd", "--config.train.learning_rate=1.0"),
            *("--config.train.clip_norm=0.25", "--config.train.weight_decay=0"),
            f"--config.train.sequence_length={_LENGTH.value}",
            f"--config.train.batch_size={_BATCH.value}",
            *(f"--config.train.steps={_STEPS.value}", f"--config.train.eval_every={_STEPS.value}"),
            *("--config.train.sample_tokens=0", "--config.train.log_every=1"),
            "--config.train.eval_tokens=1000",
        ]
    )
    return median_speed(log_of(folder), WARM_UP_STEPS)


def main(argv):
    del argv
    ways = {}
    for compiled in (False, True) if _COMPILE.value else (False,):
        for half in (False, True):
            name = f"PyTorch, {'compiled, ' * compiled}{'bfloat16' if half else 'float32'}"
            ways[name] = (half, compiled)
    results = {name: [] for name in [*ways, "tflm"]}
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(_ROUNDS.value):
            for name, way in ways.items():
                results[name].append(run_torch(*way))
            results["tflm"].append(run_tflm(Path(temporary) / "run"))
            print(number + 1, {name: round(rows[-1]) for name, rows in results.items()}, flush=True)
    table = Table(
        title=f"{_LAYERS.value} x {_WIDTH.value}, {_BATCH.value} x {_LENGTH.value}, "
        f"{_VOCABULARY.value:,} words, {_ROUNDS.value} rounds"
    )
    table.add_column("")
    table.add_column("tokens/s (median)", justify="right")
    medians = {name: statistics.median(rows) for name, rows in results.items()}
    for name, speed in medians.items():
        table.add_row(name, f"{speed:,.0f}")
    Console().print(table)
    best = max(medians[name] for name in ways)
    print(f"tflm / the fastest PyTorch: {medians['tflm'] / best:.2f}")


if __name__ == "__main__":
    app.run(main)
