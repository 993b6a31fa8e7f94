"""The tokenizer's training text: from the training split alone, bounded, without duplicates."""

import numpy as np
import pytest
from fake_tokenizer import ByteTokenizer

from tflm.data.corpora import DataConfig
from tflm.data.store import build_store
from tflm.data.training_texts import training_texts
from tflm.errors import UserError


def corpus(tmp_path, lines, **fields):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines))
    return DataConfig(corpus=str(path), documents="line", workers=1, **fields)


def stored_training_texts(config, tmp_path):
    split = build_store(config, ByteTokenizer(), tmp_path).split("train")
    ends = np.append(split.document_starts, len(split.tokens))
    return [ByteTokenizer().decode(split.tokens[a:b]) for a, b in zip(ends, ends[1:], strict=False)]


def test_all_of_it_is_the_training_split_of_the_store(tmp_path):
    lines = [f"line {i % 700} 中" for i in range(1000)]
    config = corpus(tmp_path, lines, validation_fraction=0.2)
    texts = list(training_texts(config, 10**9, 0, tmp_path))
    assert texts == stored_training_texts(config, tmp_path)
    assert 400 < len(texts) < 650


@pytest.mark.parametrize("count", [3, 4, 5])
def test_tiny_corpora_agree_too(tmp_path, count):
    config = corpus(tmp_path, [f"{i}" for i in range(count)] * 2)
    stored = stored_training_texts(config, tmp_path)
    assert list(training_texts(config, 10**9, 0, tmp_path)) == stored
    assert sorted(training_texts(config, 0, 0, tmp_path)) == sorted(stored)


@pytest.mark.parametrize("fractions", [(0.2, 0.1), (0.2, 0.0), (0.0, 0.0)])
def test_without_a_bound_it_is_the_training_split_too(tmp_path, fractions):
    lines = [f"line {i % 700} 中" for i in range(1000)]
    config = corpus(tmp_path, lines, validation_fraction=fractions[0], test_fraction=fractions[1])
    texts = list(training_texts(config, 0, 0, tmp_path))
    stored = stored_training_texts(config, tmp_path)
    assert sorted(texts) == sorted(stored)
    places = [stored.index(text) for text in texts]
    assert sum(a > b for a, b in zip(places, places[1:], strict=False)) < 30  # nearly in order


def test_without_a_bound_texts_are_handed_on_while_they_are_read(tmp_path):
    config = corpus(tmp_path, [f"line {i}" * 1000 for i in range(2000)])
    done = []
    texts = training_texts(config, 0, 0, tmp_path, lambda *report: done.append(report))
    next(texts)
    assert done[-1][1] < done[-1][2] / 2
    assert sum(1 for _ in texts) > 1500
    assert done[-1][:2] == ("read text", done[-1][2])


def test_given_files_are_held_out(tmp_path):
    held = tmp_path / "held.txt"
    held.write_text("line 3\nline 5")
    config = corpus(
        tmp_path, [f"line {i}" for i in range(10)], validation_corpus=str(held), test_fraction=0.0
    )
    texts = list(training_texts(config, 10**9, 0, tmp_path))
    assert texts == [f"line {i}" for i in range(10) if i not in (3, 5)]
    assert sorted(training_texts(config, 0, 0, tmp_path)) == texts


def test_sample_is_bounded_uniform_and_seeded(tmp_path):
    lines = [f"{i % 5000:05d}" for i in range(10_000)]  # Every line twice.
    config = corpus(tmp_path, lines, validation_fraction=0.0, test_fraction=0.0)
    samples = [list(training_texts(config, 5000, seed, tmp_path)) for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]
    for sample in samples:
        assert len(sample) == len(set(sample)) == 1000  # 5,000 bytes of 5 each.
        assert sample == sorted(sample)  # Reading order.
        quarters = np.bincount([int(text) // 1250 for text in sample])
        assert ((quarters - 250) ** 2 / 250).sum() < 16  # 3 degrees, probability 0.001.


def test_one_document_larger_than_the_sample_is_cut(tmp_path):
    config = corpus(tmp_path, ["中" * 1000], validation_fraction=0.0, test_fraction=0.0)
    assert list(training_texts(config, 100, 0, tmp_path)) == ["中" * 33]


def test_no_text(tmp_path):
    with pytest.raises(UserError, match="no text to train on"):
        list(training_texts(corpus(tmp_path, []), 100, 0, tmp_path))
    with pytest.raises(UserError, match="no text to train on"):
        list(training_texts(corpus(tmp_path, []), 0, 0, tmp_path))
