"""Embeddings that start from word vectors: rows by token, what is covered, and what cannot be."""

import dataclasses

import numpy as np
import pytest

from tests.tiny_experiments import tiny_experiment
from tests.tiny_training import token_split
from tflm import models, run, vectors
from tflm.errors import UserError
from tflm.models.glove import GloVeConfig
from tflm.models.rnn import RNNConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers import fit
from trainers.initialize_from import initialize_from


class Pieces:
    special_ids = (0, 1, 2, 3)

    def __init__(self, *pieces):
        self.pieces = ["<pad>", "<unk>", "<s>", "</s>", *pieces]
        self.vocabulary_size = len(self.pieces)

    def piece(self, i):
        return self.pieces[i]


TOKENIZER = Pieces("sea", "\u2581King", "ing", "\u2581海")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vectors.txt"
    table = np.arange(1, 13, dtype="float32").reshape(4, 3)
    vectors.write(path, vectors.WordVectors(["sea", "king", "海", "other"], table), "glove")
    return path


def test_rows_are_matched_by_token(file):
    model = models.build(RNNConfig(vocabulary_size=8, hidden_dim=3))
    before = np.array(model.embeddings())
    split = token_split([2, 4, 4, 4, 5, 6, 6, 7, 3])
    said = initialize_from(model, TOKENIZER, str(file), split)
    after = np.array(model.embeddings())
    np.testing.assert_array_equal(after[[4, 5, 7]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(after[[0, 1, 2, 3, 6]], before[[0, 1, 2, 3, 6]])
    assert said == f"3 of 4 tokens (71.4% of the training text) start from {file}."


def test_what_does_not_fit_is_one_line(file, tmp_path):
    split = token_split([2, 4, 3])
    wide = models.build(RNNConfig(vocabulary_size=8, hidden_dim=4))
    with pytest.raises(UserError, match="3 dimensions.*has 4. Set --config.model.embedding_dim=3"):
        initialize_from(wide, TOKENIZER, str(file), split)
    model = models.build(RNNConfig(vocabulary_size=5, hidden_dim=3))
    with pytest.raises(UserError, match="knows none of the tokenizer's 1 tokens"):
        initialize_from(model, Pieces("absent"), str(file), split)
    with pytest.raises(UserError, match="There is no '.*nowhere'. Give a run folder or a file"):
        initialize_from(model, TOKENIZER, str(tmp_path / "nowhere"), split)
    glove = models.build(GloVeConfig(vocabulary_size=8, hidden_dim=3))
    with pytest.raises(UserError, match="cannot start a model of glove"):
        initialize_from(glove, TOKENIZER, str(file), split)


def test_a_run_starts_from_another_run(tiny_runs, corpus, tmp_path, capsys):
    source = run.load(tiny_runs["vectors"])
    experiment = dataclasses.replace(
        tiny_experiment(
            "lstm",
            corpus,
            model={"embedding_dim": 16},
            steps=1,
            learning_rate=1e-9,
            init_from=str(tiny_runs["vectors"]),
        ),
        tokenizer=TokenizerConfig(kind="word", normalization=("lowercase",)),
    )
    fit.train(experiment, tmp_path / "run")
    assert "(100.0% of the training text) start from" in capsys.readouterr().out
    started = run.load(tmp_path / "run")
    word = source.tokenizer.piece(7)
    mine, theirs = started.tokenizer.token_id(word), source.tokenizer.token_id(word)
    np.testing.assert_allclose(
        np.array(started.model.embeddings())[mine],
        np.array(source.model.embeddings())[theirs],
        atol=1e-6,
    )
