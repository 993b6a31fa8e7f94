"""Training and decoding speed of the encoder-decoders, beside equal models of PyTorch, in turn.

    python -m benchmarks.translation --torch_python=PATH/bin/python --corpus=train.de,train.en
    python -m benchmarks.translation --torch_python=... --corpus=... --family=seq2seq_lstm

tflm trains by its own program and recipe; PyTorch then trains on the very batches that tflm did. Tokens are those of
source and target, padding not counted; compilation and the first steps are not counted either. Both then decode the
same sources in batches of like length, greedily and with a beam, to the same number of tokens each (no target may end
before), so that speed does not depend on what the models have learnt. PyTorch runs in float32 and under bfloat16
autocast; the faster counts.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.programs import log_of, median_speed, run

RECIPES = {"seq2seq_transformer": "translate_transformer", "seq2seq_lstm": "translate_lstm"}
_CORPUS = flags.DEFINE_string("corpus", None, "Source and target file.", required=True)
_TORCH_PYTHON = flags.DEFINE_string("torch_python", sys.executable, "Interpreter with torch.")
_FAMILY = flags.DEFINE_enum("family", "seq2seq_transformer", list(RECIPES), "Of the model.")
_STEPS = flags.DEFINE_integer("steps", 60, "Steps of each training.", lower_bound=20)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.", lower_bound=1)
_SOURCES = flags.DEFINE_integer("sources", 256, "Sources that are decoded.", lower_bound=1)
_TOKENS = flags.DEFINE_integer("tokens", 20, "Tokens of each target that is decoded.", 2)
_BEAM_SIZE = flags.DEFINE_integer("beam_size", 5, "Of the beam search.", lower_bound=2)
SKIPPED = 10  # first steps of a training
ROWS = 64  # of a batch that PyTorch decodes; tflm's own choice is the same for sources of up to 32 tokens


def train_tflm(folder: Path) -> float:
    run(
        [
            *(sys.executable, "-m", "trainers.train", f"--config={RECIPES[_FAMILY.value]}"),
            *(f"--corpus={_CORPUS.value}", f"--run_dir={folder}"),
            f"--config.train.steps={_STEPS.value}",
            f"--config.train.eval_every={_STEPS.value}",
            *("--config.train.log_every=1", "--config.train.sample_tokens=0"),
            *("--config.train.eval_tokens=1000", "--config.objective.metric_pairs=0"),
        ]
    )
    return median_speed(log_of(folder), SKIPPED)


class Trained:
    """A run of tflm: its batches and sources, and its decoding."""

    def __init__(self, run_dir: Path):
        from tflm import run as runs
        from tflm.generation.translate import Translator
        from trainers import experiment as experiments
        from trainers import objectives

        self.run = runs.load(run_dir)
        self._experiment = experiments.from_dict(self.run.experiment)
        self._objective = objectives.build(self._experiment.objective)
        self._objective.read_tokenizers(self.run.tokenizer, self.run.source_tokenizer)
        self._store = self.run.open_store()
        self._translator = Translator(self.run.model, self.run.tokenizer, self.run.source_tokenizer)

    def write_batches(self, path: Path) -> None:
        split = self._store.split("train")
        batches = self._objective.batches(split, self.run.model, self._experiment.train)
        arrays = {}
        for step in range(_STEPS.value):
            batch = batches.batch(step)
            arrays |= {f"{name}_{step}": values for name, values in batch.items()}
        np.savez(path, **arrays)

    def sources(self) -> list[list[int]]:
        split = self._store.split("validation")
        number = min(_SOURCES.value, split.num_pairs)
        return [[int(token) for token in split.source(i)] for i in range(number)]

    def decode(self, sources: list[list[int]], beam_size: int) -> float:
        from tflm.generation.beam import BeamConfig

        search = BeamConfig(
            beam_size=beam_size, max_length=_TOKENS.value, min_length=_TOKENS.value - 1
        )
        self._translator.candidates_of_ids(sources, search)  # compiles
        started = time.perf_counter()
        self._translator.candidates_of_ids(sources, search)
        return len(sources) * _TOKENS.value / (time.perf_counter() - started)

    def settings(self) -> dict:
        """What the model of PyTorch must have."""
        config = self.run.model.config
        names = ("vocabulary_size", "num_layers", "hidden_dim", "dropout")
        names += ("num_heads", "intermediate_dim", "embedding_dim")
        sizes = {name: getattr(config, name) for name in names if hasattr(config, name)}
        return {"family": _FAMILY.value, "rows": ROWS, "tokens": _TOKENS.value} | sizes


def run_torch(folder: Path, settings: dict) -> dict:
    """The faster of float32 and bfloat16."""
    found = []
    for half in (False, True):
        path = folder / "settings.json"
        path.write_text(json.dumps({**settings, "half": half, "skipped": SKIPPED}))
        script = Path(__file__).with_name("torch_translation.py")
        answer = run([_TORCH_PYTHON.value, script, path])
        found.append(json.loads(answer.strip().split("\n")[-1]) | {"half": half})
    return max(found, key=lambda one: one["speed"])


def main(argv):
    del argv
    speeds: dict[tuple[str, str], list[float]] = {}

    def note(what: str, whose: str, speed: float) -> None:
        speeds.setdefault((what, whose), []).append(speed)
        print(f"{what}: {whose} {speed:,.0f} tokens/s", flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sizes = {"greedy": 1, f"beam {_BEAM_SIZE.value}": _BEAM_SIZE.value}
        for number in range(_ROUNDS.value):
            run_dir = folder / f"run_{number}"
            note("training", "tflm", train_tflm(run_dir))
            trained = Trained(run_dir)
            settings, sources = trained.settings(), trained.sources()
            trained.write_batches(folder / "batches.npz")
            ids = np.concatenate(sources)
            np.savez(folder / "sources.npz", ids=ids, ends=np.cumsum([len(s) for s in sources]))
            answer = run_torch(folder, {**settings, "batches": str(folder / "batches.npz")})
            note("training", "PyTorch", answer["speed"])
            print(
                f"parameters: tflm {trained.run.model.count_params():,}, "
                f"PyTorch {answer['parameters']:,}; PyTorch in {'bfloat16' if answer['half'] else 'float32'}"
            )
            for what, size in sizes.items():
                note(what, "tflm", trained.decode(sources, size))
                decoding = {"sources": str(folder / "sources.npz"), "beam_size": size}
                note(what, "PyTorch", run_torch(folder, {**settings, **decoding})["speed"])
    table = Table(title=f"{_FAMILY.value}, {_ROUNDS.value} rounds, tokens/s (median)")
    for column in ("", "tflm", "PyTorch", "tflm / PyTorch"):
        table.add_column(column, justify="right" if column else "left")
    for what in ("training", *sizes):
        ours, theirs = (statistics.median(speeds[what, whose]) for whose in ("tflm", "PyTorch"))
        table.add_row(what, f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.2f}")
    Console().print(table)


if __name__ == "__main__":
    app.run(main)
