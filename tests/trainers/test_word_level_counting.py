"""Word-level WikiText as everyone counts it: against the tokenization of pytorch/examples' word_language_model."""

import dataclasses

import numpy as np
import pytest

from tflm import models
from tflm.data.encode import encode_documents
from tflm.data.store import build_store
from tflm.data.training_texts import training_texts
from tflm.models.rnn import RNNConfig
from tflm.text import tokenizer as tokenizers
from tflm.text.tokenizer import TokenizerConfig
from trainers import objectives, recipes
from trainers.experiment import TrainConfig
from trainers.objectives.causal import CausalConfig

LINES = [
    " \n",
    " = Robert <unk> = \n",
    " \n",
    " Robert <unk> is an English film , television and theatre actor . He had a guest @-@ starring role \n",
    " in 2000 \u2013 2001 , and the film 's end ( <unk> ) . \n",
]


def as_everyone_counts(path, ids: dict) -> list[int]:
    """`Corpus.tokenize` of word_language_model/data.py: words between spaces, and <eos> for every line."""
    tokens = []
    for line in path.read_text(encoding="utf8").splitlines(keepends=True):
        for word in line.split() + ["<eos>"]:
            tokens.append(ids.setdefault(word, len(ids)))
    return tokens


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wikitext")
    for name, lines in (("train", LINES * 12), ("valid", LINES[:4]), ("test", LINES[1:] * 2)):
        (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize("recipe", ["lstm_wikitext2", "gpt_wikitext2"])
def test_the_recipes_read_the_words_that_everyone_reads(recipe, text):
    experiment = recipes.load(recipe)
    data = dataclasses.replace(
        experiment.data,
        corpus=str(text / "train.txt"),
        validation_corpus=str(text / "valid.txt"),
        test_corpus=str(text / "test.txt"),
        workers=1,
    )
    texts = training_texts(data, experiment.tokenizer.sample_bytes, seed=0)
    tokenizer = tokenizers.train(experiment.tokenizer, texts)
    store, everyones = build_store(data, tokenizer), {}
    for name, file in (("train", "train.txt"), ("validation", "valid.txt"), ("test", "test.txt")):
        expected = as_everyone_counts(text / file, everyones)
        split = store.split(name)
        assert split.num_documents == 1, "the text is one stream"
        # The same stream, but for the names of the ids: one between the two ends of the text.
        ids = np.asarray(split.tokens[1:-1]).tolist()
        assert len(ids) == len(expected)
        assert len(set(zip(ids, expected, strict=True))) == len(set(ids)) == len(set(expected))
        # <unk> stands in the text; the tokenizer hides no word of the training text, and so all of them are its words.
        assert split.num_unknown == 0
        # What a model predicts: each of them, and the end of the text.
        scored = RNNConfig(tokenizer.vocabulary_size, num_layers=1, hidden_dim=4)
        train = TrainConfig(batch_size=2, sequence_length=7)
        evaluate = objectives.build(CausalConfig()).evaluator(
            models.build(scored), train, tokenizer
        )
        assert evaluate(split)["num_tokens"] == len(expected) + 1
    # 33,278 for WikiText-2: its words, <unk> and <eos>; ours are these, <pad>, <s> and </s>.
    assert tokenizer.vocabulary_size == len(everyones) + 3


def test_only_words_that_the_tokenizer_hides_count_as_unknown():
    config = TokenizerConfig(kind="word", split="whitespace", sample_bytes=0)
    tokenizer = tokenizers.train(config, ["a b <unk>"])
    batch = encode_documents(tokenizer, ["a <unk> zebra <unk>"])
    assert batch.tokens[1:-1].tolist().count(tokenizer.unk_id) == 3
    assert batch.counts[0].tolist() == [19, 19, 4, 1]
