"""What a run is, by its experiment alone.

Importing this module imports nothing else.
"""

LANGUAGE_MODEL_OBJECTIVES = ("causal",)  # their models predict a text, and have bits per byte
LABEL_OBJECTIVES = ("classify", "classify_bag")  # their models say which label a text has
SEQUENCE_OBJECTIVES = (
    "seq2seq",
)  # their models write a target for a source, and have BLEU or ROUGE


def is_language_model(experiment: dict) -> bool:
    """Whether the model predicts the next token; False for one that is nothing but its vectors, or a classifier.

    Args:
        experiment: as `tflm.run.RunFolder.read_experiment` gives it.
    """
    return experiment["objective"]["kind"] in LANGUAGE_MODEL_OBJECTIVES


def is_classifier(experiment: dict) -> bool:
    """Whether the model says which label a text has."""
    return experiment["objective"]["kind"] in LABEL_OBJECTIVES


def is_sequence_to_sequence(experiment: dict) -> bool:
    """Whether the model writes a target for a source: a translation, a summary.

    Its family need not be an encoder-decoder: a decoder-only model reads the source as a prompt.
    """
    return experiment["objective"]["kind"] in SEQUENCE_OBJECTIVES
