"""What objectives that learn labels of texts share: where the text comes from, and which labels there are."""

import dataclasses

from tflm.errors import UserError


@dataclasses.dataclass
class LabelledConfig:
    """
    Attributes:
        labels: the label set, in the order of the model's outputs; (): that of the training text, sorted.
    """

    labels: tuple[str, ...] = ()


class LabelledObjective:
    """Args: config: a LabelledConfig."""

    score_name = "error"

    def __init__(self, config: LabelledConfig):
        self.config = config

    def training_texts(self, data, sample_bytes: int, seed: int, progress=None):
        """What the tokenizer is trained on: the texts without their labels."""
        from tflm.data.labelled import labelled_texts
        from tflm.data.training_texts import training_texts

        return training_texts(data, sample_bytes, seed, progress=progress, read=labelled_texts)

    def open_store(self, data, tokenizer, progress=None):
        from tflm.data.labelled_store import build_labelled_store

        return build_labelled_store(data, tokenizer, progress=progress)

    def fill_in(self, model_config, store) -> None:
        """Takes over from the store what the configs leave open: the label set.

        Raises:
            UserError: where they say otherwise than the training text.
        """
        if self.config.labels and tuple(self.config.labels) != store.labels:
            raise UserError(
                f"The training text must have the labels {_listed(self.config.labels)}, as `objective.labels` says. "
                f"Received: {_listed(store.labels)}."
            )
        if model_config.num_labels not in (0, len(store.labels)):
            raise UserError(
                f"`model.num_labels` must be 0 or that of the training text, {len(store.labels)}. "
                f"Received: {model_config.num_labels}."
            )
        self.config.labels = store.labels
        model_config.num_labels = len(store.labels)


def _listed(labels) -> str:
    return f"{', '.join(labels)[:100]} ({len(labels)})"
