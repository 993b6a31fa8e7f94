"""Starting an embedding from word vectors that are there already: another run's, or a file's.

Rows are matched by token: SentencePiece's mark of a word's beginning does not count, and a word that is known in
lower case only is taken for its capitalised forms, too. What has no vector keeps its initial value.

Shapes: V vocabulary, D hidden.
"""

from pathlib import Path

import numpy as np

from tflm import models
from tflm.data.word_chunks import word_counts
from tflm.errors import UserError

WORD_MARK = "\u2581"


def initialize_from(model, tokenizer, source: str, split, progress=None) -> str:
    """Overwrites rows of the model's embedding.

    Args:
        model: of any family.
        tokenizer: the model's.
        source: a run folder, or a file of any format of `tflm.vectors`.
        split: the training split; how much of it is covered is counted.

    Returns:
        A line that says how many tokens were found.

    Raises:
        UserError: where the source cannot be read, has another width, or knows none of the tokens.
    """
    vectors = read_vectors(source, progress)
    variable = _embedding(model)
    width = variable.shape[1]
    if vectors.table.shape[1] != width:
        raise UserError(
            f"train.init_from={source} has vectors of {vectors.table.shape[1]} dimensions, but the embedding of this "
            f"model has {width}. Set --config.model.{_width_field(model)}={vectors.table.shape[1]}."
        )
    table = np.array(variable.value)
    special = {*tokenizer.special_ids}
    num_tokens = tokenizer.vocabulary_size - len(special)
    rows, words = [], []
    for token_id in range(tokenizer.vocabulary_size):
        if token_id in special:
            continue
        piece = tokenizer.piece(token_id).removeprefix(WORD_MARK)
        word = next((form for form in (piece, piece.lower()) if form and form in vectors), None)
        if word is not None:
            rows.append(token_id)
            words.append(word)
    if not rows:
        raise UserError(
            f"train.init_from={source} knows none of the tokenizer's {num_tokens:,} tokens. "
            "Give vectors of words in the same language and case."
        )
    table[rows] = vectors.vectors(words)
    variable.assign(table)
    counts = word_counts(split, len(table))
    counts[list(special)] = 0
    share = counts[rows].sum() / max(counts.sum(), 1)
    return (
        f"{len(rows):,} of {num_tokens:,} tokens ({share:.1%} of the training text) start from "
        f"{source}."
    )


def read_vectors(source: str, progress=None):
    """The word vectors of a run folder or a file."""
    from tflm import run as runs
    from tflm import vectors
    from tflm.vectors.of_run import of_run

    if Path(source).is_dir():
        return of_run(runs.load(source))
    if not Path(source).exists():
        raise UserError(f"There is no {source!r}. Give a run folder or a file of word vectors.")
    return vectors.read(source, progress=progress)


def _embedding(model):
    """The variable whose first rows are the words'."""
    if not hasattr(model, "tables"):
        return model.embeddings()
    variable = model.tables()["input"]
    if variable.shape[1] != model.config.hidden_dim:  # GloVe's rows end in a bias
        raise UserError(f"train.init_from cannot start a model of {model.name}. Leave it out.")
    return variable


def _width_field(model) -> str:
    config = models.encoder_of(model).config
    return "embedding_dim" if hasattr(config, "embedding_dim") else "hidden_dim"
