"""The word vectors of a run as a file of `tflm.vectors`: words and their vectors, without ids and special tokens.

FastText's are those with n-grams added in. The proof: the file, read back, has the words and every bit of the vectors.
"""

import time
from pathlib import Path

import numpy as np

from export.fresh_interpreter import Proof
from tflm import vectors
from tflm.errors import UserError
from tflm.vectors.of_run import of_run


def write(name: str, run, path: Path, quantization: str, lengths) -> None:
    """Writes the file `path`.

    Args:
        name: one of `tflm.vectors.FORMATS`.
        run: a tflm.run.Run with word vectors.
        quantization: "none".
        lengths: not needed.
    """
    vectors.write(path, of_run(run), name)


def prove(run, path: Path, name: str, sets=None) -> Proof:
    """Reads the file back.

    Args:
        sets: a `similarity.SimilaritySets`, or None.
    """
    start = time.perf_counter()
    try:
        found = vectors.read(path, name)
    except UserError as error:
        return Proof({}, [f"it cannot be read back ({str(error).removesuffix('.')})"], {})
    figures = {"load_ms": 1000 * (time.perf_counter() - start), "num_words": len(found.words)}
    wanted = of_run(run)
    if found.words != wanted.words:
        same = sum(a == b for a, b in zip(found.words, wanted.words, strict=False))
        failure = f"of {len(wanted.words)} words {len(wanted.words) - same} are not in their place"
        return Proof(figures, [failure], {})
    wrong = (found.table.view("int32") != wanted.table.view("int32")).any(axis=1)
    figures |= {
        "max_vector_difference": float(np.abs(found.table - wanted.table).max()),
        "different_rows": int(wrong.sum()),
    }
    failures = [f"{wrong.sum()} vectors are not read back bit by bit"] if wrong.any() else []
    if sets is not None:
        figures["similarity"] = sets.of_words(found)
    return Proof(figures, failures, {})
