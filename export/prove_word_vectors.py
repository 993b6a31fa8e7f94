"""Holds exported word vectors, trained as skip-gram, against the model they were made of.

Shapes: V vocabulary, D width, K neighbours.
"""

from pathlib import Path

import numpy as np

from export import signatures
from export.fresh_interpreter import Proof, ask
from export.thresholds import THRESHOLDS

NUM_NEIGHBOURS = 10
NUM_WORDS = 200  # whose neighbours are compared
FIRST_WORD = signatures.NUM_SPECIAL_IDS


def prove(run, path: Path, kind: str, quantization: str) -> Proof:
    """All vectors, and the neighbours of some words."""
    table = np.asarray(run.model.embeddings(), "float32")  # (V, D)
    words = np.arange(FIRST_WORD, min(len(table), FIRST_WORD + NUM_WORDS), dtype="int32")
    k = min(NUM_NEIGHBOURS, len(table) - 1 - FIRST_WORD)
    request = {"kind": "word_vectors", "k": k}
    arrays = {"token_ids": np.arange(len(table), dtype="int32"), "neighbours_of": words}
    answer, results = ask(path, kind, request, arrays)

    lengths = np.maximum(np.linalg.norm(table, axis=1), signatures.NORM_FLOOR)
    similarity = (table[words] @ table.T) / lengths[words, None] / lengths
    similarity[:, :FIRST_WORD] = -2
    similarity[np.arange(len(words)), words] = -2
    wanted = np.argsort(-similarity, axis=1)[:, :k]
    found = results["neighbours"][:, :k]
    same = [len(set(a) & set(b)) for a, b in zip(wanted.tolist(), found.tolist(), strict=True)]
    vectors = results["vectors"]
    norms = np.maximum(np.linalg.norm(vectors, axis=1), signatures.NORM_FLOOR)
    cosine = (vectors * table).sum(1) / norms / lengths
    figures = {
        "finite": bool(np.isfinite(vectors).all() and np.isfinite(results["similarity"]).all()),
        "max_vector_difference": float(np.abs(vectors - table).max()),
        "vector_cosine": float(cosine[FIRST_WORD:].min()),
        "neighbour_agreement": sum(same) / (k * len(words)),
        "num_words": len(words),
    }
    described = answer.pop("signatures")
    figures |= answer
    limits, failures = THRESHOLDS[quantization], []
    if not figures["finite"]:
        failures.append("its vectors are not finite")
    elif not figures["vector_cosine"] >= limits.vector_cosine:
        failures.append(
            f"a vector's cosine to its original is {figures['vector_cosine']:.4f}, "
            f"below {limits.vector_cosine:g}"
        )
    if not figures["neighbour_agreement"] >= limits.neighbour_agreement:
        failures.append(
            f"nearest words agree to {figures['neighbour_agreement']:.3f}, "
            f"below {limits.neighbour_agreement:g}"
        )
    return Proof(figures, failures, described)
