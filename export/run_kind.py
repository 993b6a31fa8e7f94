"""What a run is to an export, by its experiment alone: a language model, word vectors, both, or a translator.

Importing this module imports neither TensorFlow nor Keras.
"""

from tflm.errors import UserError
from tflm.run_kind import LANGUAGE_MODEL_OBJECTIVES, SEQUENCE_OBJECTIVES

WORD_VECTOR_OBJECTIVES = ("skip_gram", "cbow", "glove")
WORD_VECTOR_FAMILIES = ("word2vec", "fasttext", "glove")
DECODER_ONLY_FAMILIES = ("gpt",)  # they read a source as the beginning of a text


def has_word_vectors(experiment: dict) -> bool:
    """Whether the vectors of tokens are what the family is for; a causal word2vec has both."""
    return experiment["model"]["family"] in WORD_VECTOR_FAMILIES


def has_encoder(experiment: dict) -> bool:
    """Whether a run that translates reads its source by an encoder."""
    return experiment["model"]["family"] not in DECODER_ONLY_FAMILIES


def check(experiment: dict, run_dir) -> None:
    """Raises UserError for a run that no format is for.

    Args:
        experiment: as `tflm.run.RunFolder.read_experiment` gives it.
        run_dir: for the error.
    """
    kind = experiment["objective"]["kind"]
    known = LANGUAGE_MODEL_OBJECTIVES + WORD_VECTOR_OBJECTIVES + SEQUENCE_OBJECTIVES
    if kind not in known:
        raise UserError(
            f"{run_dir} was trained with the objective {kind}, which has no export yet. "
            f"Give a run of one of: {', '.join(known)}."
        )
