"""Entities against seqeval and conlleval.pl, and by hand."""

import random
import warnings

import numpy as np
import pytest
from seqeval.metrics import sequence_labeling as lenient
from seqeval.metrics import v1 as strict
from seqeval.scheme import IOB2, IOBES, Tokens

from tflm.errors import UserError
from tflm.metrics.classification import precision_recall_f1
from tflm.metrics.entities import (
    convert_tags,
    entities,
    entity_counts,
    entity_scores,
    write_tags,
)

TYPES = ("LOC", "ORG-X", "PER")  # a hyphen in a type
READINGS = [
    ("lenient", "BI", None),
    ("lenient", "BIES", None),
    ("iob2", "BI", IOB2),
    ("iobes", "BIES", IOBES),
]


def random_sentences(count: int, prefixes: str, seed: int):
    """True and predicted tags of sentences of up to 12 words, most of them in no scheme at all."""
    source = random.Random(seed)
    tags = ["O", "O"] + [f"{prefix}-{kind}" for prefix in prefixes for kind in TYPES]
    true, predicted = [], []
    for _ in range(count):
        # Few tags a sentence, so that words go on with the ones before.
        chosen = [source.choice(tags) for _ in range(3)]
        sentence = [source.choice(chosen) for _ in range(source.randrange(13))]
        true.append(sentence)
        predicted.append([t if source.random() < 0.8 else source.choice(chosen) for t in sentence])
    return true, predicted


def test_readings_by_hand():
    tags = ["I-PER", "I-PER", "O", "B-LOC", "I-PER", "B-PER", "I-PER"]
    assert entities(tags) == [("PER", 0, 2), ("LOC", 3, 4), ("PER", 4, 5), ("PER", 5, 7)]
    assert entities(tags, "iob2") == [("LOC", 3, 4), ("PER", 5, 7)]
    assert entities(tags, "iobes") == []
    tags = ["B-PER", "E-PER", "E-PER", "S-LOC", "B-LOC", "I-LOC"]
    found = [("PER", 0, 2), ("PER", 2, 3), ("LOC", 3, 4), ("LOC", 4, 6)]
    assert entities(tags) == found
    assert entities(tags, "iobes") == [found[0], found[2]]
    assert entities([]) == [] and entities(["O"], "iob2") == []


@pytest.mark.parametrize(("reading", "prefixes", "scheme"), READINGS)
def test_ten_thousand_sentences_are_read_as_by_seqeval(reading, prefixes, scheme):
    found = 0
    for tags in random_sentences(10_000, prefixes, seed=1)[1]:
        if scheme is None:
            expected = [(*each[:2], each[2] + 1) for each in lenient.get_entities(tags)]
        else:
            spans = [entity.to_tuple()[-3:] for entity in Tokens(tags, scheme).entities]
            expected = [(kind, start, stop) for kind, start, stop in spans]
        assert entities(tags, reading) == expected, tags
        found += len(expected)
    assert found > 5_000


@pytest.mark.parametrize(("reading", "prefixes", "scheme"), READINGS)
def test_scores_are_those_of_seqeval(reading, prefixes, scheme):
    """In two hundred test sets of five sentences: some types never come, some are never predicted."""
    true, predicted = random_sentences(1_000, prefixes, seed=2)
    for k in range(0, 1_000, 5):
        pair = true[k : k + 5], predicted[k : k + 5]
        ours = entity_scores(*pair, reading)
        for average in ("micro", "macro", None):
            settings = {"average": average, "zero_division": 0}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy's, where a set has no entity at all
                if scheme is None:
                    score = lenient.precision_recall_fscore_support
                    *expected, support = score(*pair, **settings)
                else:
                    score = strict.precision_recall_fscore_support
                    *expected, support = score(*pair, **settings, scheme=scheme)
            if average is None:
                rows = ours["types"].values()
                assert [row["support"] for row in rows] == list(support)
                for name, theirs in zip(("precision", "recall", "f1"), expected, strict=True):
                    assert [row[name] for row in rows] == pytest.approx(list(theirs)), name
            elif ours["types"]:
                mine = ours if average == "micro" else ours["macro"]
                mine = [mine[name] for name in ("precision", "recall", "f1")]
                assert mine == pytest.approx([float(value) for value in expected]), average


def test_ten_thousand_sentences_are_those_of_conlleval():
    """`perl conlleval.pl -d " "` (2004-01-26) on lines `w true predicted` of them, an empty line behind each sentence:

    processed 60142 tokens with 35710 phrases; found: 35765 phrases; correct: 29426.
                  LOC: precision: 82.289417%; recall: 82.508746%; FB1: 82.398935  12038
                ORG-X: precision: 82.690029%; recall: 82.299916%; FB1: 82.494511  11814
                  PER: precision: 81.851759%; recall: 82.398175%; FB1: 82.124058  11913
    """
    true, predicted = random_sentences(10_000, "BI", seed=3)
    counts = entity_counts(true, predicted, TYPES).sum(axis=0)
    assert counts.sum(axis=0).tolist() == [29426, 35765, 35710]
    assert counts[:, 1].tolist() == [12038, 11814, 11913]
    expected = [
        [82.289417, 82.508746, 82.398935],
        [82.690029, 82.299916, 82.494511],
        [81.851759, 82.398175, 82.124058],
    ]
    np.testing.assert_allclose(100 * precision_recall_f1(counts), expected, atol=5.1e-7)


def test_counts_of_sentences():
    true = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "O"]]
    predicted = [["B-PER", "I-PER", "O", "B-PER"], ["O", "B-LOC"]]
    counts = entity_counts(true, predicted, ["PER", "LOC"])
    assert counts.tolist() == [[[1, 2, 1], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]]]
    scores = entity_scores(true, predicted)
    assert [scores[name] for name in ("precision", "recall", "f1")] == pytest.approx(
        [1 / 3, 1 / 2, 2 / 5]
    )
    assert list(scores["types"]) == ["LOC", "PER"]
    assert scores["types"]["PER"] == pytest.approx(
        {"precision": 1 / 2, "recall": 1, "f1": 2 / 3, "support": 1}
    )
    assert scores["macro"] == pytest.approx({"precision": 1 / 4, "recall": 1 / 2, "f1": 1 / 3})
    nothing = entity_scores([["O"]], [["O"]])
    assert nothing["f1"] == 0 and nothing["types"] == {} and nothing["macro"]["f1"] == 0
    assert np.shape(entity_counts([], [], TYPES)) == (0, 3, 3)


def test_tags_are_converted():
    bio = ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"]
    bioes = ["B-PER", "I-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC"]
    iob1 = ["I-PER", "I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC"]
    for tags in (bio, bioes, iob1):
        assert convert_tags(tags) == bio
        assert convert_tags(tags, "bioes") == bioes
    assert write_tags([], 2) == ["O", "O"]


@pytest.mark.parametrize(("scheme", "reading"), [("bio", "iob2"), ("bioes", "iobes")])
def test_repaired_tags_keep_their_entities(scheme, reading):
    for tags in random_sentences(1_000, "BIES", seed=4)[0]:
        repaired = convert_tags(tags, scheme)
        assert entities(tags) == entities(repaired) == entities(repaired, reading)
        assert convert_tags(repaired, scheme) == repaired


def test_errors():
    with pytest.raises(UserError, match="Unknown reading of tags 'strict'.*iob2, iobes, lenient"):
        entities(["O"], "strict")
    for tag in ("PER", "B", "B-", "", "BI-PER", "M-PER"):
        with pytest.raises(UserError, match=f"one of B, I, E, S .* Received: '{tag}'"):
            entities([tag])
    with pytest.raises(UserError, match="one of B, I with .* Received: 'S-PER'"):
        entities(["S-PER"], "iob2")
    with pytest.raises(UserError, match="Unknown scheme of tags 'iob2'. Choose one of: bio, bioes"):
        convert_tags(["O"], "iob2")
    with pytest.raises(UserError, match="Unknown type of entities 'PER'. Choose one of: LOC"):
        entity_counts([["B-PER"]], [["O"]], ["LOC"])
    with pytest.raises(UserError, match="Received: 1 true sentences, 0 predicted"):
        entity_scores([["O"]], [])
    with pytest.raises(UserError, match="Sentence 2 must .* its 1 words. Received: 2"):
        entity_scores([["O"], ["O"]], [["O"], ["O", "O"]])
