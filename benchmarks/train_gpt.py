"""Training speed of a small GPT, beside nanoGPT's own train.py on the same text and settings, in turn.

    python -m benchmarks.train_gpt --nanogpt=PATH --torch_python=PATH/bin/python --text=input.txt

PATH is a checkout of nanoGPT; it is copied, not touched. --torch_python is an interpreter that has torch and numpy.
--text is Tiny Shakespeare, which nanoGPT's own prepare.py turns into characters and cuts into 90 % and 10 %.
Tokens per second are medians over the steps after the first ones, so compilation does not count; the total time of each
process, compilation and validation included, is printed beside them. nanoGPT runs in float32 and under bfloat16
autocast (which its train.py has for GPUs only; here it is switched on for the processor), each eagerly and, with
--torch_compile, compiled; the fastest of them counts. tflm takes what it measures to be fastest.
"""

import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.programs import log_of, median_speed, run

_NANOGPT = flags.DEFINE_string("nanogpt", None, "Checkout of nanoGPT.", required=True)
_TORCH_PYTHON = flags.DEFINE_string("torch_python", sys.executable, "Interpreter with torch.")
_TEXT = flags.DEFINE_string("text", None, "Tiny Shakespeare.", required=True)
_LAYERS = flags.DEFINE_integer("num_layers", 4, "Layers.")
_HEADS = flags.DEFINE_integer("num_heads", 4, "Heads.")
_WIDTH = flags.DEFINE_integer("hidden_dim", 128, "Width.")
_CONTEXT = flags.DEFINE_integer("context", 64, "Tokens of context.")
_BATCH = flags.DEFINE_integer("batch_size", 12, "Sequences in a batch.")
# With fewer steps tflm does not measure what is fastest.
_STEPS = flags.DEFINE_integer("steps", 300, "Steps of each training.", lower_bound=200)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.", lower_bound=1)
_COMPILE = flags.DEFINE_bool("torch_compile", False, "Measure nanoGPT with torch.compile, too.")
_PRECISION = flags.DEFINE_string("precision", "auto", "Of tflm.")
WARM_UP_STEPS = 20


GPU_ONLY = "ctx = nullcontext() if device_type == 'cpu' else "


def run_nanogpt(folder: Path, dtype: str, compiled: bool) -> dict:
    """Trains with nanoGPT: tokens per second, seconds in all, validation loss."""
    steps = _STEPS.value
    started = time.perf_counter()
    output = run(
        [
            *(_TORCH_PYTHON.value, "train.py", "config/train_shakespeare_char.py"),
            *("--device=cpu", f"--dtype={dtype}", f"--compile={compiled}", "--dropout=0.0"),
            *(f"--n_layer={_LAYERS.value}", f"--n_head={_HEADS.value}", f"--n_embd={_WIDTH.value}"),
            *(f"--block_size={_CONTEXT.value}", f"--batch_size={_BATCH.value}"),
            *(f"--max_iters={steps}", f"--lr_decay_iters={steps}", f"--eval_interval={steps}"),
            "--warmup_iters=20",
            *("--eval_iters=20", "--log_interval=1", f"--out_dir={folder / 'out'}"),
        ],
        folder,
    )
    seconds = time.perf_counter() - started
    times = [float(ms) for ms in re.findall(r"iter \d+: .* time ([\d.]+)ms", output)]
    # The last iteration's time has a validation and a checkpoint in it.
    milliseconds = statistics.median(times[WARM_UP_STEPS:-1])
    return {
        "speed": _BATCH.value * _CONTEXT.value / milliseconds * 1000,
        "seconds": seconds,
        "loss": float(re.findall(r"val loss ([\d.]+)", output)[-1]),
    }


def run_tflm(train: Path, validation: Path, folder: Path) -> dict:
    """Trains with tflm: the same numbers."""
    shutil.rmtree(folder, ignore_errors=True)
    steps = _STEPS.value
    started = time.perf_counter()
    run(
        [
            *(sys.executable, "-m", "trainers.train", "--config=gpt_shakespeare"),
            *(f"--corpus={train}", f"--config.data.validation_corpus={validation}"),
            *(f"--precision={_PRECISION.value}", f"--run_dir={folder}"),
            "--config.train.sample_tokens=0",
            "--config.train.learning_rate=1e-3",  # nanoGPT's
            f"--config.model.num_layers={_LAYERS.value}",
            f"--config.model.num_heads={_HEADS.value}",
            f"--config.model.hidden_dim={_WIDTH.value}",
            f"--config.model.max_sequence_length={_CONTEXT.value}",
            f"--config.train.sequence_length={_CONTEXT.value}",
            f"--config.train.batch_size={_BATCH.value}",
            f"--config.train.steps={steps}",
            f"--config.train.eval_every={steps}",
        ]
    )
    seconds = time.perf_counter() - started
    log = log_of(folder)
    last = next(x for x in reversed(log) if x["kind"] == "validation")
    return {
        "speed": median_speed(log, WARM_UP_STEPS),
        "seconds": seconds,
        "loss": last["nats"] / last["num_tokens"],
    }


def main(argv):
    del argv
    with tempfile.TemporaryDirectory() as temporary:
        nanogpt = Path(temporary) / "nanogpt"
        shutil.copytree(_NANOGPT.value, nanogpt, ignore=shutil.ignore_patterns(".git"))
        data = nanogpt / "data" / "shakespeare_char"
        shutil.copy(_TEXT.value, data / "input.txt")
        (data / "requests.py").write_text("")  # prepare.py imports it, but input.txt is there
        run([_TORCH_PYTHON.value, "prepare.py"], data)
        text = Path(_TEXT.value).read_text(encoding="utf-8")
        cut = int(len(text) * 0.9)
        train, validation = Path(temporary) / "train.txt", Path(temporary) / "val.txt"
        train.write_text(text[:cut], encoding="utf-8")
        validation.write_text(text[cut:], encoding="utf-8")
        program = nanogpt / "train.py"
        source = program.read_text(encoding="utf-8")
        if GPU_ONLY not in source:
            raise SystemExit("This nanoGPT is not the one whose autocast is known here.")
        program.write_text(source.replace(GPU_ONLY, "ctx = "), encoding="utf-8")
        ways = {
            f"nanoGPT, {'compiled, ' * compiled}{dtype}": (dtype, compiled)
            for compiled in ([False, True] if _COMPILE.value else [False])
            for dtype in ("float32", "bfloat16")
        }
        results = {name: [] for name in [*ways, "tflm"]}
        for number in range(_ROUNDS.value):
            for name, way in ways.items():
                results[name].append(run_nanogpt(nanogpt, *way))
            results["tflm"].append(run_tflm(train, validation, Path(temporary) / "run"))
            print(number + 1, {name: rows[-1] for name, rows in results.items()}, flush=True)
    table = Table(title=f"{_STEPS.value} steps, medians of {_ROUNDS.value} rounds")
    for column in ("", "tokens/s", "seconds in all", "validation loss"):
        table.add_column(column, justify="right")
    medians = {}
    for name, rows in results.items():
        medians[name] = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        row = medians[name]
        table.add_row(name, f"{row['speed']:,.0f}", f"{row['seconds']:.1f}", f"{row['loss']:.4f}")
    Console().print(table)
    best = max(medians[name]["speed"] for name in ways)
    print(f"tflm / the fastest nanoGPT: {medians['tflm']['speed'] / best:.2f} times the tokens/s")


if __name__ == "__main__":
    app.run(main)
