"""Entities in tagged words: read from BIO and BIOES tags, compared, written again.

A tag is "O" or a prefix and a type, as in "B-PER". Taggers write sequences that no scheme allows, so that it matters
how they are read:

lenient   an entity begins wherever a word does not go on with the one before: B, S, a new type, or I and E behind O, E
          and S. This is conlleval.pl of CoNLL-2000 (Tjong Kim Sang and Buchholz 2000) and seqeval's default, and reads
          IOB1, BIO and BIOES alike. conlleval.pl itself knows no S.
iob2      an entity is B and each I of its type behind it; every other I is left out. seqeval's strict mode with IOB2.
iobes     an entity is S, or B I* E of one type; all else is left out. seqeval's strict mode with IOBES.

Scores count an entity as found where type, first and last word are right.

Shapes: N sentences, T types.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from tflm.errors import UserError, unknown_name
from tflm.metrics.classification import SCORES, average_scores, precision_recall_f1

READINGS = {"lenient": "BIES", "iob2": "BI", "iobes": "BIES"}
SCHEMES = ("bio", "bioes")
Entity = tuple[str, int, int]


def entities(tags: Sequence[str], reading: str = "lenient") -> list[Entity]:
    """The entities of a sentence, in their order: (type, first word, word behind the last).

    Args:
        tags: one for each word.
        reading: one of READINGS.

    Raises:
        UserError: for an unknown reading or a tag that it does not know.
    """
    if reading not in READINGS:
        raise unknown_name("reading of tags", reading, READINGS)
    found, start = [], None
    before, type_before = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = _split(tag, READINGS[reading])
        goes_on = prefix in "IE" and before in "BI" and kind == type_before
        if not goes_on:
            if start is not None and (reading != "iobes" or before in "ES"):
                found.append((type_before, start, place))
            begins = prefix != "O" if reading == "lenient" else prefix in "BS"
            start = place if begins else None
        before, type_before = prefix, kind
    return found


def _split(tag: str, prefixes: str) -> tuple[str, str]:
    if tag == "O":
        return tag, ""
    prefix, _, kind = tag.partition("-")
    if not kind or prefix not in tuple(prefixes):
        raise UserError(
            f"A tag must be O, or one of {', '.join(prefixes)} with a type behind a hyphen, such as B-PER. "
            f"Received: {tag!r}."
        )
    return prefix, kind


def write_tags(found: Iterable[Entity], num_words: int, scheme: str = "bio") -> list[str]:
    """The tags of a sentence with these entities, which do not overlap; `entities` reads the same ones from them.

    Args:
        found: as `entities` returns them.
        num_words: the length of the sentence.
        scheme: "bio" (IOB2) or "bioes".

    Raises:
        UserError: for an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise unknown_name("scheme of tags", scheme, SCHEMES)
    tags = ["O"] * num_words
    for kind, start, stop in found:
        prefixes = ["B"] + ["I"] * (stop - start - 1)
        if scheme == "bioes":
            prefixes[-1] = "E" if len(prefixes) > 1 else "S"
        tags[start:stop] = [f"{prefix}-{kind}" for prefix in prefixes]
    return tags


def convert_tags(tags: Sequence[str], scheme: str = "bio") -> list[str]:
    """The same entities, leniently read, in correct tags of a scheme: repairs and converts between IOB1, BIO and BIOES.

    Args and errors as in `entities` and `write_tags`.
    """
    return write_tags(entities(tags), len(tags), scheme)


def entity_counts(
    references: Sequence[Sequence[str]],
    predictions: Sequence[Sequence[str]],
    types: Sequence[str],
    reading: str = "lenient",
) -> np.ndarray:
    """How many entities of each sentence were found.

    Args:
        references, predictions: the tags of N sentences, the true ones and those of a tagger.
        types: T types of entities.
        reading: one of READINGS.

    Returns:
        (N, T, 3) int64: right ones, predicted ones, true ones. Their sum over the sentences is what
        `classification.average_scores` takes, their sum over the types what `significance.paired_bootstrap` takes.

    Raises:
        UserError: as `entities`, for an entity of no such type, and for two tagged sentences of two lengths.
    """
    return _counts(_sentences(references, predictions, reading), types)


def entity_scores(
    references: Sequence[Sequence[str]],
    predictions: Sequence[Sequence[str]],
    reading: str = "lenient",
) -> dict:
    """Precision, recall and F1 of entities, from 0 to 1; 0 where one divides by 0.

    Args:
        references, predictions, reading: as in `entity_counts`.

    Returns:
        precision, recall, f1: of all entities together (micro), which is the usual figure.
        macro: the mean over the types, with the same names.
        types: type -> precision, recall, f1 and `support`, the number of true entities; in alphabetical order.

    Raises:
        UserError: as `entity_counts`.
    """
    sentences = _sentences(references, predictions, reading)
    types = sorted({kind for pair in sentences for each in pair for kind, _, _ in each})
    counts = _counts(sentences, types).sum(axis=0)
    averages = average_scores(counts)
    per_type = {
        kind: {**dict(zip(SCORES, scores, strict=True)), "support": int(support)}
        for kind, scores, support in zip(
            types, precision_recall_f1(counts).tolist(), counts[:, 2], strict=True
        )
    }
    return {**averages["micro"], "macro": averages["macro"], "types": per_type}


def _sentences(references, predictions, reading) -> list[tuple[set[Entity], set[Entity]]]:
    """The true and the predicted entities of each sentence."""
    if len(references) != len(predictions):
        raise UserError(
            "Tags are compared sentence by sentence. "
            f"Received: {len(references):,} true sentences, {len(predictions):,} predicted ones."
        )
    sentences = []
    for row, (true, predicted) in enumerate(zip(references, predictions, strict=True)):
        if len(true) != len(predicted):
            raise UserError(
                f"Sentence {row + 1:,} must have a predicted tag for each of its {len(true)} words. "
                f"Received: {len(predicted)}."
            )
        sentences.append((set(entities(true, reading)), set(entities(predicted, reading))))
    return sentences


def _counts(sentences, types: Sequence[str]) -> np.ndarray:
    """(N, T, 3), as `entity_counts` returns them, of what `_sentences` returns."""
    columns = {kind: column for column, kind in enumerate(types)}
    counts = np.zeros((len(sentences), len(types), 3), np.int64)
    for row, (true, predicted) in enumerate(sentences):
        for place, each in enumerate((true & predicted, predicted, true)):
            for kind, _, _ in each:
                if kind not in columns:
                    raise unknown_name("type of entities", kind, columns)
                counts[row, columns[kind], place] += 1
    return counts
