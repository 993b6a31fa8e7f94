"""The word vectors of a run: its tokens are the words."""

import numpy as np

from tflm.text.subwords import Subwords
from tflm.vectors.word_vectors import SubwordRows, WordVectors

WORD_MARK = "\u2581"  # SentencePiece's space in front of a word


def of_run(run) -> WordVectors:
    """Every token but the special ones as a word, in the order of ids: of most tokenizers the most frequent first.

    Where a word is a token with SentencePiece's mark before it and another without, it is the one with the mark.

    Args:
        run: a tflm.run.Run; its model has `embeddings()` (V, D).
    """
    tokenizer = run.tokenizer
    special = {*tokenizer.special_ids}
    pieces = {i: tokenizer.piece(i) for i in range(tokenizer.vocabulary_size) if i not in special}
    ids = {}
    for is_marked in (True, False):
        for token_id, piece in pieces.items():
            if piece.startswith(WORD_MARK) == is_marked:
                ids.setdefault(piece.removeprefix(WORD_MARK), token_id)
    ids.pop("", None)  # the mark alone
    words = sorted(ids, key=ids.get)
    rows = [ids[word] for word in words]
    table = np.asarray(run.model.embeddings(), "float32")[rows]
    return WordVectors(words, table, subword_rows=_subword_rows(run.model, rows))


def _subword_rows(model, rows: list[int]) -> SubwordRows | None:
    """What a FastText model makes the vectors of other words of."""
    if getattr(model, "bags", None) is None:
        return None
    config = model.config
    inputs = np.asarray(model.tables()["input"], "float32")
    size = config.vocabulary_size
    subwords = Subwords(config.min_n, config.max_n, config.buckets)
    return SubwordRows(subwords, buckets=inputs[size:], own=inputs[rows])
