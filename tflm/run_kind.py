"""What a run is, by its experiment alone.

Importing this module imports nothing else.
"""

LANGUAGE_MODEL_OBJECTIVES = ("causal",)  # their models predict a text, and have bits per byte


def is_language_model(experiment: dict) -> bool:
    """Whether the model predicts the next token; False for one that is nothing but its vectors, or a classifier.

    Args:
        experiment: as `tflm.run.RunFolder.read_experiment` gives it.
    """
    return experiment["objective"]["kind"] in LANGUAGE_MODEL_OBJECTIVES
