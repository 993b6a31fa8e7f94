"""Reading and writing a folder of `transformers`: config.json and model.safetensors (in one file, or in parts)."""

import json
from pathlib import Path

import numpy as np

from tflm.errors import UserError
from tflm.huggingface.architectures import ARCHITECTURES, architecture_of
from tflm.huggingface.weights import to_ours, to_theirs

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


def is_folder(path) -> bool:
    """Whether there is such a folder."""
    return (Path(path) / CONFIG).is_file()


def read_config(path):
    """The config of our family, and the architecture's model_type.

    Raises:
        UserError: for what cannot be read, an unknown architecture, or a variant of it that we do not have.
    """
    values = _json(Path(path) / CONFIG)
    kind = values.get("model_type")
    if kind not in ARCHITECTURES:
        raise UserError(
            f"{path} holds a model of type {kind!r}. Known are: {', '.join(ARCHITECTURES)}."
        )
    try:
        return ARCHITECTURES[kind].to_config(values), kind
    except KeyError as error:
        raise UserError(f"{Path(path) / CONFIG} lacks the key {error.args[0]!r}.") from error


def read_weights(path) -> dict[str, np.ndarray]:
    """The weights by our path, the model's own name left out; those of heads that the folder lacks are left out.

    Raises:
        UserError: as `read_config`; and for weights that are missing or damaged.
    """
    config, kind = read_config(path)
    architecture = ARCHITECTURES[kind]
    names = architecture.names(config)
    wanted = {theirs for name in names for theirs in name.theirs}
    return to_ours(names, _tensors(Path(path), wanted, architecture.prefix), path)


def write(path, config, arrays: dict[str, np.ndarray]) -> None:
    """Writes the folder of a model that `transformers` loads.

    Args:
        path: an empty folder.
        config: of a family that has an architecture there.
        arrays: by our path, the model's own name left out.

    Raises:
        UserError: for a model that no architecture has the form of.
    """
    from safetensors.numpy import save_file

    kind = architecture_of(config)
    architecture = ARCHITECTURES[kind]
    values = architecture.from_config(config)
    values |= {"model_type": kind, "architectures": [architecture.name], "torch_dtype": "float32"}
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    (Path(path) / CONFIG).write_text(text, encoding="utf-8")
    tensors = to_theirs(architecture.names(config), arrays)
    save_file(tensors, Path(path) / WEIGHTS, metadata={"format": "pt"})


def _json(file: Path) -> dict:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read {file}: {error}. Give a folder of transformers.") from error
    if not isinstance(values, dict):
        raise UserError(f"{file} must hold an object. Received: {str(values)[:60]}.")
    return values


def _tensors(folder: Path, wanted: set[str], prefix: str) -> dict[str, np.ndarray]:
    """The tensors of these names; also those that stand without `prefix`, as a model without a head is saved."""
    files = [WEIGHTS]
    if not (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        parts = _json(folder / INDEX).get("weight_map", {})
        files = sorted(set(map(str, parts.values())))
    found = {}
    for file in files:
        if Path(file).name != file:
            raise UserError(f"{folder / INDEX} names {file!r}, which is no file of the folder.")
        found |= _read(folder / file, wanted, prefix)
    return found


def _read(file: Path, wanted: set[str], prefix: str) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401 (numpy knows bfloat16 by it, which most large models are kept in)
    from safetensors import SafetensorError, safe_open

    found = {}
    try:
        with safe_open(file, framework="numpy") as tensors:
            for key in tensors.keys():  # noqa: SIM118 (not a dict)
                name = key if key in wanted else prefix + key
                if name in wanted:
                    found[name] = tensors.get_tensor(key)
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise UserError(f"Cannot read {file}: {error}. Give a folder with {WEIGHTS}.") from error
    return found
