"""Beginning from an encoder that was trained before: `train.init_from` names its run folder.

What the encoder is, and its tokenizer, are then those of that run, whatever the recipe says of them.
"""

import dataclasses
from pathlib import Path

from tflm import models
from tflm.errors import UserError
from tflm.run import RunFolder, assign_arrays
from trainers import experiment as experiments


def adopt(experiment, folder: RunFolder) -> None:
    """Takes over the encoder's config and the tokenizer of the run that `train.init_from` names.

    Word vectors, which init_from may name as well, decide nothing about a model, and nothing is done.

    Args:
        experiment: changed in place.
        folder: of the run that is begun; one that goes on is as it was begun.
    """
    if experiment.train.init_from is None or not hasattr(experiment.model, "encoder"):
        return
    if folder.exists():
        begun = experiments.from_dict(folder.read_experiment())
        if hasattr(begun.model, "encoder"):
            experiment.model.encoder, experiment.tokenizer = begun.model.encoder, begun.tokenizer
        return
    encoder = _encoder_of(experiment.train.init_from)
    if encoder is not None:
        experiment.model.encoder = encoder
        experiment.tokenizer = dataclasses.replace(
            experiment.tokenizer, load_from=experiment.train.init_from
        )


def load_encoder(model, source: str) -> str | None:
    """Gives the encoder of `model` the weights of a run.

    Args:
        model: of a family with an encoder.
        source: train.init_from.

    Returns:
        A line that says what was done; None where `source` is no run with such an encoder.

    Raises:
        UserError: where the weights are not those of this encoder.
    """
    config = _encoder_of(source) if hasattr(model.config, "encoder") else None
    if config is None:
        return None
    encoder = model.encoder
    if type(config) is not type(encoder.config):
        raise UserError(
            f"train.init_from={source} has an encoder of {models.family_of(config)}, but this model has one of "
            f"{models.family_of(encoder.config)}. Leave model.encoder to the run, or give another."
        )
    checkpoint = RunFolder(source).load_best()
    if checkpoint is None:
        raise UserError(f"train.init_from={source} has no checkpoint yet. Train it first.")
    arrays = {
        _within(path, encoder.name): value
        for path, value in checkpoint.model.items()
        if _within(path, encoder.name) is not None
    }
    # By the path within the encoder: what stands around it differs.
    variables = [
        _Renamed(_within(v.path, encoder.name), v)
        for v in encoder.variables
        if "/lora_" not in v.path
    ]
    assign_arrays(variables, arrays, source)
    return f"The encoder begins with the weights of {source}, step {checkpoint.step:,}."


@dataclasses.dataclass
class _Renamed:
    """A variable under another path."""

    path: str
    variable: object

    @property
    def shape(self):
        return self.variable.shape

    def assign(self, value) -> None:
        self.variable.assign(value)


def _within(path: str, name: str) -> str | None:
    """`bert/block_0/...` of `classifier/bert/block_0/...`; None for what is not in the encoder."""
    parts = path.split("/")
    return "/".join(parts[parts.index(name) :]) if name in parts else None


def _encoder_of(source: str):
    """The config of the encoder in a run folder; None where there is none."""
    from tflm.models.classifier import ENCODERS

    folder = RunFolder(source)
    if not Path(source).is_dir() or not folder.exists():
        return None
    config = models.from_dict(folder.read_experiment()["model"])
    config = getattr(config, "encoder", config)
    return config if models.family_of(config) in ENCODERS else None
