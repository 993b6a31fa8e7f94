"""The command that trains a trial further."""

import shlex

SHARED = ("config", "corpus", "encoding", "on_bad_file", "precision")  # flags of trainers.train


def of_training(argv: list[str]) -> list[str]:
    """The flags among `argv` that are also those of trainers.train."""
    kept, arguments = [], iter(argv[1:])
    for argument in arguments:
        name, equals, _ = argument.lstrip("-").partition("=")
        if name.removeprefix("no").split(".")[0] in SHARED or name.split(".")[0] in SHARED:
            kept.append(argument)
            if not equals and name in SHARED:  # --corpus texts/
                kept.append(next(arguments, ""))
    return kept


def training_command(given: list[str], values: dict, run_dir) -> str:
    """The command that trains a trial further.

    Args:
        given: the flags of training that the search was given.
        values: field -> value of the trial; they come last, so that they hold.
    """
    own = [f"--config.{field}={_written(value)}" for field, value in values.items()]
    command = ["python", "-m", "trainers.train", *given, *own, f"--run_dir={run_dir}"]
    return shlex.join(command)


def _written(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
