"""Going on with a run: which settings may differ from those it began with."""

from tflm.errors import UserError
from trainers import experiment as experiments
from trainers import out_of_memory
from trainers.terminal import warn

# What may differ when a run goes on: what is shown, how long, and in how many parts a batch is computed; of these only
# `steps` changes what a step computes, through the learning rate, and that is said.
MAY_CHANGE = (
    "steps",
    "epochs",
    "accumulation",
    "log_every",
    "keep_checkpoints",
    "early_stopping",
    "sample_prompts",
    "sample_tokens",
)

# What an experiment need not say, because the text or a measurement decides it, and what says so.
LEFT_OPEN = (
    ("model", "vocabulary_size"),
    ("model", "source_vocabulary_size"),
    ("model", "num_labels"),
    ("objective", "labels"),
    ("train", "precision"),
    ("train", "jit_compile"),
)
OPEN = (0, (), "auto")


def refuse_another(experiment, folder) -> None:
    """Raises UserError where the folder holds a run of other settings, and fills in what the experiment leaves open.

    Args:
        experiment: an Experiment. folder: its RunFolder, with a run in it.
    """
    # Through the dataclasses: a field that did not exist when the run began has its default.
    before = experiments.from_dict(folder.read_experiment())
    out_of_memory.keep_what_fits(experiment.train, before.train)
    for room, name in LEFT_OPEN:
        config = getattr(experiment, room)
        if getattr(config, name, True) in OPEN:
            setattr(config, name, getattr(getattr(before, room), name, getattr(config, name)))
    stored, wanted = experiments.to_dict(before), experiments.to_dict(experiment)
    free = {("train", name) for name in MAY_CHANGE} | {("data", "workers")}
    for room, new in wanted.items():
        old = stored.get(room, {})
        for name in sorted(set(old) | set(new)):
            if old.get(name) != new.get(name) and (room, name) not in free:
                raise UserError(
                    f"{folder.path} holds a run with {room}.{name}={old.get(name)!r}, but this command asks for "
                    f"{new.get(name)!r}. Give the same setting, or another --run_dir."
                )


def note_changes(experiment, folder) -> None:
    """Stores the settings that a run goes on with, and warns where they make it end otherwise."""
    config, before = experiment.train, folder.read_experiment()["train"]["steps"]
    if before != config.steps and config.schedule in ("cosine", "linear"):
        warn(
            f"train.steps was {before:,} and is {config.steps:,}: from here on the learning rate follows the "
            f"{config.schedule} schedule of the new number."
        )
    folder.write_experiment(experiments.to_dict(experiment))
