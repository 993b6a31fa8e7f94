"""Holds exported word vectors against the run they were made of.

Shapes: V vocabulary, D width, K neighbours, N texts.
"""

from pathlib import Path

import numpy as np
from keras import ops

from export import signatures, similarity
from export.fresh_interpreter import Proof, ask
from export.thresholds import THRESHOLDS, Thresholds
from tflm.text.normalize import normalize
from tflm.text.subwords import Subwords
from tflm.text.tokenizer import UNK_ID

NUM_NEIGHBOURS = 10
NUM_WORDS = 200  # whose neighbours are compared
NUM_TEXTS = 32
FIRST_WORD = signatures.NUM_SPECIAL_IDS


def prove(run, path: Path, kind: str, quantization: str, sets=None) -> Proof:
    """All vectors, the neighbours of some words, and of a SavedModel the vectors of some texts.

    Args:
        run: a tflm.run.Run.
        path: the artifact; for a SavedModel the folder of the version.
        kind: "saved_model" or "tflite".
        quantization: a key of THRESHOLDS.
        sets: a `similarity.SimilaritySets`, or None.
    """
    table = np.asarray(run.model.embeddings(), "float32")  # (V, D)
    words = np.arange(FIRST_WORD, min(len(table), FIRST_WORD + NUM_WORDS), dtype="int32")
    k = min(NUM_NEIGHBOURS, len(table) - 1 - FIRST_WORD)
    texts, text_vectors = texts_and_vectors(run, table)
    request = {"kind": "word_vectors", "k": k, "texts": texts}
    arrays = {"token_ids": np.arange(len(table), dtype="int32"), "neighbours_of": words}
    answer, results = ask(path, kind, request, arrays)

    lengths = np.maximum(np.linalg.norm(table, axis=1), signatures.NORM_FLOOR)
    found = results["neighbours"][:, :k]
    wanted = _neighbours(table, lengths, words, k)
    same = [len(set(a) & set(b)) for a, b in zip(wanted.tolist(), found.tolist(), strict=True)]
    vectors = results["vectors"]
    norms = np.maximum(np.linalg.norm(vectors, axis=1), signatures.NORM_FLOOR)
    cosine = np.einsum("vd,vd->v", vectors, table) / norms / lengths
    figures = {
        "finite": bool(np.isfinite(vectors).all() and np.isfinite(results["similarity"]).all()),
        "max_vector_difference": float(np.abs(vectors - table).max()),
        "vector_cosine": float(cosine[FIRST_WORD:].min()),
        "neighbour_agreement": sum(same) / (k * len(words)),
        "num_words": len(words),
    }
    if "text_vectors" in results:
        scale = np.abs(text_vectors).max(initial=signatures.NORM_FLOOR)
        difference = np.abs(results["text_vectors"] - text_vectors).max(initial=0)
        figures["text_vector_difference"] = float(difference / scale)
        figures["num_texts"] = len(texts)
    if sets is not None:
        figures["similarity"] = sets.of_tokens(vectors)
    described = answer.pop("signatures")
    figures |= answer
    return Proof(figures, _judge(figures, THRESHOLDS[quantization]), described)


def _neighbours(table, lengths, words, k: int) -> np.ndarray:
    """The ids nearest to each of `words` by cosine: (words, K)."""
    cosines = (table[words] @ table.T) / lengths[words, None] / lengths
    cosines[:, :FIRST_WORD] = -2
    cosines[np.arange(len(words)), words] = -2
    return np.argsort(-cosines, axis=1)[:, :k]


def _judge(figures: dict, limits: Thresholds) -> list[str]:
    failures = []
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
    difference = figures.get("text_vector_difference")
    if difference is not None and not difference <= limits.text_vector_difference:
        failures.append(
            f"the vectors of texts differ by {difference:.2g}, above {limits.text_vector_difference:g}"
        )
    return failures + similarity.judge(figures.get("similarity", {}), limits)


def texts_and_vectors(run, table) -> tuple[list[str], np.ndarray]:
    """Texts of known and unknown words, and the vectors that strings must give, by numpy: N, (N, D).

    Unknown are two words in one, as "wordvector"; with a word tokenizer every text is of one or two words.
    """
    tokenizer = run.tokenizer
    first = range(FIRST_WORD, min(tokenizer.vocabulary_size, FIRST_WORD + NUM_TEXTS))
    pieces = [tokenizer.piece(i) for i in first]
    joined = [a + b for a, b in zip(pieces, pieces[1:], strict=False)]
    pairs = [f"{a} {b}" for a, b in zip(pieces, joined, strict=False)]
    texts, vectors = [""], [np.zeros(table.shape[1], "float32")]
    for text in pieces + joined + pairs:
        rows = _rows(run, table, text)
        if rows is not None:
            texts.append(text)
            vectors.append(rows.mean(0))
    return texts, np.stack(vectors)


def _rows(run, table, text: str) -> np.ndarray | None:
    """The vectors that the one of `text` is the mean of; None where it is of other words than it looks."""
    tokenizer, config = run.tokenizer, run.model.config
    if tokenizer.kind != "word":
        ids = tokenizer.encode(text)
        return table[ids] if ids else None
    words = normalize(text, tokenizer.normalization).split(" ")
    ids = [tokenizer.token_id(word) for word in words]
    ids = [UNK_ID if i is None else i for i in ids]
    if tokenizer.split != "jieba" and tokenizer.encode(text) != ids:
        return None
    rows = table[ids]
    if getattr(config, "max_n", 0):
        subwords = Subwords(config.min_n, config.max_n, config.buckets)
        for place, word in enumerate(words):
            if ids[place] == UNK_ID:
                ngrams = config.vocabulary_size + subwords.bucket_ids(word)
                spelt = np.asarray(ops.take(run.model.tables()["input"], ngrams, axis=0))
                rows[place] = spelt.mean(0) if len(ngrams) else 0
    return rows
