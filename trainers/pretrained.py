"""Beginning with the weights of another model, which `train.init_from` names: all of them, or those of an encoder.

It is a run folder, or a folder of Hugging Face's transformers (BERT, GPT-2, Llama). The model, or the encoder that it
stands on, is then that one, and so is the tokenizer, whatever the recipe says of them.
"""

import dataclasses
from pathlib import Path

from tflm import models
from tflm.errors import UserError
from tflm.huggingface import folder
from tflm.layers.lora import merged_lora
from tflm.run import RunFolder, assign_arrays
from trainers import experiment as experiments


def adopt(experiment, run: RunFolder) -> None:
    """Takes over the model's or its encoder's config, and the tokenizer, of the run that `train.init_from` names.

    A run of another family, or a file, has word vectors to begin with: these decide nothing about a model, and nothing
    is done.

    Args:
        experiment: changed in place.
        run: that is begun; one that goes on is as it was begun.
    """
    source = experiment.train.init_from
    if source is None:
        return
    if run.exists():
        begun = experiments.from_dict(run.read_experiment())
        if begun.tokenizer.load_from == source:
            _replace(experiment, _trained_part(begun.model), begun.tokenizer)
        return
    config = _config_in(source)
    if config is not None and (
        hasattr(experiment.model, "encoder") or type(config) is type(experiment.model)
    ):
        _replace(experiment, config, dataclasses.replace(experiment.tokenizer, load_from=source))


def _replace(experiment, config, tokenizer) -> None:
    if hasattr(experiment.model, "encoder"):
        experiment.model.encoder = config
    else:
        experiment.model = config
    experiment.tokenizer = tokenizer


def load_weights(model, source: str) -> str | None:
    """Gives the model, or the encoder that it stands on, the weights of another one.

    Args:
        model: of any family.
        source: train.init_from.

    Returns:
        A line that says what was done; None where `source` has no model of the same family.

    Raises:
        UserError: where the weights are not those of this model.
    """
    encoder, config = models.encoder_of(model), _config_in(source)
    if type(config) is not type(encoder.config):
        if config is not None and encoder is not model:
            raise UserError(
                f"train.init_from={source} has an encoder of {models.family_of(config)}, but this model has one of "
                f"{models.family_of(encoder.config)}. Give another run, or start a new --run_dir."
            )
        return None
    arrays, what = _weights_in(source, encoder.name)
    # By the path within the encoder: what stands around it differs.
    variables = [
        _Renamed(_within(v.path, encoder.name), v)
        for v in encoder.variables
        if "/lora_" not in v.path and "seed_generator" not in v.path
    ]
    # A folder of transformers may have been saved without the head that finds masked words.
    new = [v.path for v in variables if v.path not in arrays] if folder.is_folder(source) else []
    assign_arrays([v for v in variables if v.path not in new], arrays, source)
    line = f"The {encoder.name} begins with the weights of {what}."
    return line + (f" It has no {', '.join(new)}, which begin anew." if new else "")


def _weights_in(source: str, name: str) -> tuple[dict, str]:
    """The weights of the encoder of that name, by their path in it, and what they are of."""
    if folder.is_folder(source):
        return {f"{name}/{path}": v for path, v in folder.read_weights(source).items()}, source
    checkpoint = RunFolder(source).load_best()
    if checkpoint is None:
        raise UserError(f"train.init_from={source} has no checkpoint yet. Train it first.")
    arrays = {
        _within(path, name): value
        for path, value in checkpoint.model.items()
        if _within(path, name) is not None and "seed_generator" not in path
    }
    return merged_lora(arrays), f"{source}, step {checkpoint.step:,}"


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


def _trained_part(config):
    return getattr(config, "encoder", config)


def _config_in(source: str):
    """The config of the model in a folder, or of its encoder; None where there is none that others can stand on."""
    from tflm.models.head import ENCODERS

    run = RunFolder(source)
    if folder.is_folder(source):
        return folder.read_config(source)[0]
    if not Path(source).is_dir() or not run.exists():
        return None
    config = _trained_part(models.from_dict(run.read_experiment()["model"]))
    return config if models.family_of(config) in ENCODERS else None
