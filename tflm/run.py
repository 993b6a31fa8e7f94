"""The run folder: all there is to know of one training, and the one way to read it back.

    experiment.json          what was asked for, model and data and training
    tokenizer/
    source_tokenizer/        of an encoder-decoder whose two sides do not share one
    checkpoints/step_00001000/
        model.safetensors    the weights to use (the moving average, where one is kept), random states included
        training.safetensors what only training needs: optimizer slots, loss scale, carried states
        state.json           step, metrics, and the checksums of all three files
    LATEST  BEST             the name of a checkpoint
    metrics.jsonl  tensorboard/  export/

A checkpoint is one atomic save: it is written beside its place, flushed to disk, renamed, and only then pointed to.
Arrays are keyed by `variable.path`; names and shapes are compared both ways.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np

from tflm import models
from tflm.checkpoint_mean import mean_of_last
from tflm.durable_files import checksum, checksum_of_state, flush, write_atomically
from tflm.errors import UserError
from tflm.run_kind import is_language_model, is_sequence_to_sequence
from tflm.run_stores import open_store

MODEL_FILE, TRAINING_FILE, STATE_FILE = "model.safetensors", "training.safetensors", "state.json"
FORMAT_VERSION = 1


@dataclasses.dataclass
class Checkpoint:
    """One save. `state` is what state.json holds, without the checksums."""

    step: int
    model: dict[str, np.ndarray]
    training: dict[str, np.ndarray]
    state: dict


class RunFolder:
    """Reads and writes one run folder.

    Args:
        path: the folder; made by `create`.
    """

    def __init__(self, path):
        self.path = Path(path)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tokenizer_folder(self) -> Path:
        return self.path / "tokenizer"

    @property
    def source_tokenizer_folder(self) -> Path:
        """Is there only where the source has a tokenizer of its own."""
        return self.path / "source_tokenizer"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    def create(self) -> None:
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot write the run folder {self.path}: {error.strerror}. Give another --run_dir."
            ) from error

    def exists(self) -> bool:
        return (self.path / "experiment.json").exists()

    def write_experiment(self, experiment: dict) -> None:
        text = json.dumps({"format_version": FORMAT_VERSION} | experiment, indent=2)
        write_atomically(self.path / "experiment.json", text + "\n")

    def read_experiment(self) -> dict:
        """The experiment as plain values.

        Raises:
            UserError: where the folder is not a run folder of this version.
        """
        file = self.path / "experiment.json"
        try:
            experiment = json.loads(file.read_text(encoding="utf-8"))
            version = experiment.pop("format_version")
            _ = experiment["model"]["family"], experiment["objective"]["kind"]
        except FileNotFoundError as error:
            raise UserError(
                f"{self.path} is not a run folder: it has no experiment.json. Give one that training made."
            ) from error
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise UserError(f"{file} is damaged: {error!r}.") from error
        if version != FORMAT_VERSION:
            raise UserError(
                f"{file} has format version {version}; this version of tflm reads {FORMAT_VERSION}."
            )
        return experiment

    def save(self, checkpoint: Checkpoint, is_best: bool, keep: int = 2) -> Path:
        """Writes a checkpoint, points LATEST (and BEST) to it and removes old ones.

        Args:
            keep: how many of the newest checkpoints stay, beside the best one.
        """
        from safetensors.numpy import save_file

        name = f"step_{checkpoint.step:08d}"
        final, partial = self.checkpoints / name, self.checkpoints / f".{name}.partial"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            sums = {}
            for file, arrays in (
                (MODEL_FILE, checkpoint.model),
                (TRAINING_FILE, checkpoint.training),
            ):
                save_file({k: np.array(v, order="C") for k, v in arrays.items()}, partial / file)
                sums[file] = checksum(partial / file)
            state = checkpoint.state | {"step": checkpoint.step}
            sums[STATE_FILE] = checksum_of_state(state)
            text = json.dumps(state | {"checksums": sums}, indent=2)
            (partial / STATE_FILE).write_text(text, encoding="utf-8")
            for file in partial.iterdir():
                flush(file)
            flush(partial)
            if final.exists():  # saved before at this step, by a run that ended right here
                shutil.rmtree(final)
            partial.rename(final)
            flush(self.checkpoints)
            self._give_up_after(name)
            write_atomically(self.path / "LATEST", name)
            if is_best:
                write_atomically(self.path / "BEST", name)
        # safetensors reports a full disk as an exception of its own, not as an OSError.
        except Exception as error:
            shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError) or "os error" in str(error).lower():
                raise UserError(
                    f"Cannot write the checkpoint {final}: {error}. The last good checkpoint is kept; "
                    "make room and start the same command again."
                ) from error
            raise
        self._remove_old(keep)
        return final

    def _give_up_after(self, name: str) -> None:
        """Removes later checkpoints: damaged ones, which the training fell back behind and has now replaced."""
        for later in self._names():
            if later > name:
                if self._pointer("BEST") == later:
                    (self.path / "BEST").unlink()
                shutil.rmtree(self.checkpoints / later)

    def _remove_old(self, keep: int) -> None:
        names = self._names()
        for name in names[:-keep]:
            if name != self._pointer("BEST"):
                shutil.rmtree(self.checkpoints / name, ignore_errors=True)
        for leftover in self.checkpoints.glob(".*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _names(self) -> list[str]:
        return sorted(path.name for path in self.checkpoints.glob("step_*"))

    def steps(self) -> list[int]:
        """Of all checkpoints, in order."""
        return [int(name.removeprefix("step_")) for name in self._names()]

    def _pointer(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def load_latest(self, say=lambda text: None) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None where there is none.

        Args:
            say: told of every damaged checkpoint that was passed over.

        Raises:
            UserError: where there are checkpoints and none is whole.
        """
        names = self._names()
        for name in reversed(names):
            try:
                return self._read(name)
            except UserError as error:
                say(f"{error} Falling back to the checkpoint before it.")
        if names:
            raise UserError(f"No checkpoint in {self.checkpoints} is whole. Start a new --run_dir.")
        return None

    def load_best(self, say=lambda text: None) -> Checkpoint | None:
        """The best checkpoint by validation, else the newest."""
        name = self._pointer("BEST")
        if name is not None:
            try:
                return self._read(name)
            except UserError as error:
                say(f"{error} Falling back to the newest checkpoint.")
        return self.load_latest(say)

    def load_step(self, step: int) -> Checkpoint:
        """The checkpoint of one step."""
        name = f"step_{step:08d}"
        if name not in self._names():
            raise UserError(
                f"{self.path} has no checkpoint of step {step}. It has: {', '.join(self._names())}."
            )
        return self._read(name)

    def _read(self, name: str) -> Checkpoint:
        from safetensors.numpy import load_file

        folder = self.checkpoints / name
        try:
            state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
            sums = state.pop("checksums")
            if sums.pop(STATE_FILE) != checksum_of_state(state):
                raise ValueError(f"{STATE_FILE} does not have the checksum it was written with")
            for file, expected in sums.items():
                if checksum(folder / file) != expected:
                    raise ValueError(f"{file} does not have the checksum it was written with")
            return Checkpoint(
                step=state.pop("step"),
                model=load_file(folder / MODEL_FILE),
                training=load_file(folder / TRAINING_FILE),
                state=state,
            )
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise UserError(f"The checkpoint {folder} is damaged: {error}.") from error


def named_arrays(variables) -> dict[str, np.ndarray]:
    """Variables as arrays by their path."""
    arrays = {variable.path: np.array(variable.numpy()) for variable in variables}
    if len(arrays) != len(variables):
        paths = sorted(variable.path for variable in variables)
        twice = sorted({path for path in paths if paths.count(path) > 1})
        raise ValueError(f"Two variables have one path, so they cannot be told apart: {twice}.")
    return arrays


def assign_arrays(variables, arrays: dict[str, np.ndarray], source: str) -> None:
    """Assigns every variable from the array of its path.

    Raises:
        UserError: where a name is on one side only, or a shape differs.
    """
    wanted = {variable.path: variable for variable in variables}
    problems = [f"{path} is missing" for path in wanted if path not in arrays]
    problems += [f"{path} is not in the model" for path in arrays if path not in wanted]
    problems += [
        f"{path} has shape {arrays[path].shape} instead of {tuple(variable.shape)}"
        for path, variable in wanted.items()
        if path in arrays and arrays[path].shape != tuple(variable.shape)
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(f"{source} does not fit the model: {'; '.join(problems[:3])}{more}.")
    for path, variable in wanted.items():
        variable.assign(arrays[path])


@dataclasses.dataclass
class Run:
    """A trained model with all that belongs to it.

    Attributes:
        source_tokenizer: of what an encoder-decoder reads; the same object as `tokenizer` where there is one for both.
    """

    run_dir: Path
    model: object
    tokenizer: object
    experiment: dict
    step: int
    state: dict
    source_tokenizer: object = None

    def __post_init__(self):
        self.source_tokenizer = self.source_tokenizer or self.tokenizer

    @property
    def family(self) -> str:
        return self.experiment["model"]["family"]

    @property
    def is_language_model(self) -> bool:
        return is_language_model(self.experiment)

    @property
    def is_sequence_to_sequence(self) -> bool:
        return is_sequence_to_sequence(self.experiment)

    @property
    def name(self) -> str:
        return self.run_dir.resolve().name

    def open_store(self, progress=None):
        """The store that this run was trained and validated on, of the kind that its objective learns from."""
        return open_store(self, progress)


def load(
    run_dir,
    step: int | None = None,
    precision: str = "float32",
    say=lambda text: None,
    average: int = 1,
) -> Run:
    """Reads a run folder back.

    Args:
        run_dir: the folder.
        step: which checkpoint; None for the best one.
        precision: a Keras dtype policy.
        say: told of a damaged checkpoint that was passed over.
        average: above 1, the mean of the weights of so many of the last checkpoints, up to `step`.

    Raises:
        UserError: where something is missing or damaged.
    """
    from tflm.text import tokenizer as tokenizers

    folder = RunFolder(run_dir)
    experiment = folder.read_experiment()
    config = models.from_dict(experiment["model"])
    if average > 1 and folder.steps():
        checkpoint = mean_of_last(folder, average, step)
    else:
        checkpoint = folder.load_best(say) if step is None else folder.load_step(step)
    if checkpoint is None:
        raise UserError(f"{run_dir} has no checkpoint yet. Train it first.")
    model = models.build(config, precision=precision)
    assign_arrays(model.variables, checkpoint.model, f"{run_dir}, step {checkpoint.step},")
    tokenizer = tokenizers.load(folder.tokenizer_folder)
    models.read_vocabulary(model, tokenizer)
    own = folder.source_tokenizer_folder
    return Run(
        run_dir=Path(run_dir),
        model=model,
        tokenizer=tokenizer,
        experiment=experiment,
        step=checkpoint.step,
        state=checkpoint.state,
        source_tokenizer=tokenizers.load(own) if own.is_dir() else None,
    )
