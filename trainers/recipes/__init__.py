"""Recipes: files whose `get_config()` returns an Experiment. A bare name means one of these; a path, the user's own."""

import dataclasses
import importlib.util
import traceback
from pathlib import Path

from tflm import program
from tflm.errors import UserError

FOLDER = Path(__file__).parent
FLAG = "--config"


def path_of(name: str) -> Path:
    """The file of a recipe: a path, or the bare name of an installed one.

    Raises:
        UserError: where there is no such recipe; lists the installed ones.
    """
    path = Path(name)
    if path.suffix == ".py" and path.is_file():
        return path
    # trainers/recipes/x.py is also found away from the checkout.
    installed = FOLDER / f"{path.stem}.py"
    known = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")
    if path.stem in known and path.suffix in ("", ".py"):
        return installed
    raise UserError(f"There is no recipe {name!r}. Give a file, or one of: {', '.join(known)}.")


def load(name: str):
    """The Experiment that a recipe returns.

    Raises:
        UserError: where the recipe fails; names the line.
    """
    path = path_of(name)
    program.load_backend()  # a recipe imports the models it configures
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        experiment = module.get_config() if hasattr(module, "get_config") else None
    except UserError:
        raise
    except Exception as error:
        line = getattr(error, "lineno", None) or _last_line(error, str(path))
        raise UserError(
            f"The recipe {path} fails in line {line}: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(experiment, "train"):
        raise UserError(f"The recipe {path} must define get_config(), which returns an Experiment.")
    return experiment


def _last_line(error: Exception, path: str) -> int | None:
    """The last line of the file `path` on the way to the error."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    return lines[-1] if lines else None


def resolve_flags(argv: list[str]) -> list[str]:
    """`argv` with the recipe's name replaced by its path, and every override checked to name a field.

    Raises:
        UserError: for an unknown recipe or field; lists the known ones.
    """
    resolved, name = [], None
    arguments = iter(argv)
    for argument in arguments:
        if argument.startswith(FLAG[1:]):  # absl takes one dash, too
            argument = f"-{argument}"
        if argument == FLAG:
            argument = f"{FLAG}={next(arguments, '')}"
        if argument.startswith(f"{FLAG}="):
            name = argument.removeprefix(f"{FLAG}=")
            argument = f"{FLAG}={path_of(name)}"
        resolved.append(argument)
    if name is not None:
        experiment = load(name)
        for argument in resolved:
            for prefix in (
                f"{FLAG}.",
                f"--no{FLAG.removeprefix('--')}.",
            ):  # --noconfig.x is x=false
                if argument.startswith(prefix):
                    _check_field(experiment, argument.removeprefix(prefix).split("=")[0])
    return resolved


def _check_field(experiment, dotted: str) -> None:
    holder, done = experiment, "config"
    for name in dotted.split("."):
        known = (
            [field.name for field in dataclasses.fields(holder)]
            if dataclasses.is_dataclass(holder)
            else []
        )
        if name not in known:
            choices = f"It has: {', '.join(known)}." if known else "It is a value."
            raise UserError(f"{FLAG}.{dotted}: {done} has no field {name!r}. {choices}")
        holder, done = getattr(holder, name), f"{done}.{name}"
    if dataclasses.is_dataclass(holder):
        known = ", ".join(field.name for field in dataclasses.fields(holder))
        raise UserError(f"{FLAG}.{dotted} is a group of fields. Set one of them: {known}.")
