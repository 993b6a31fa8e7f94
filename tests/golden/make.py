"""Makes the run folders beside this file: one for each family, tiny, committed once and loaded for ever.

    python -m tests.golden.make FAMILY...

A folder is made again only where its format is meant to change, and then CHANGELOG.md says so.
`logits.json` holds what the model computed on the day it was made: of a language model logits, of others vectors.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from tflm import run
from tflm.data.corpora import DataConfig
from tflm.models.fasttext import FastTextConfig
from tflm.models.fasttext_classifier import FastTextClassifierConfig
from tflm.models.glove import GloVeConfig
from tflm.models.gpt import GPTConfig
from tflm.models.rnn import RNNConfig
from tflm.models.seq2seq_lstm import Seq2SeqLSTMConfig
from tflm.models.seq2seq_transformer import Seq2SeqTransformerConfig
from tflm.models.word2vec import Word2VecConfig
from tflm.text.tokenizer import TokenizerConfig
from trainers import fit
from trainers.experiment import Experiment, TrainConfig
from trainers.objectives.causal import CausalConfig
from trainers.objectives.cbow import CBOWConfig
from trainers.objectives.classify_bag import ClassifyBagConfig
from trainers.objectives.glove import LeastSquaresConfig
from trainers.objectives.seq2seq import Seq2SeqConfig
from trainers.objectives.skip_gram import SkipGramConfig

FOLDER = Path(__file__).resolve().parent
CORPUS = "tests/golden/text.txt"  # from the root of the checkout
LABELLED = "tests/golden/labelled.txt"
PAIRS = "tests/golden/pairs.tsv"
MODELS = {
    "word2vec": Word2VecConfig(hidden_dim=8, window=3),
    "skip_gram": Word2VecConfig(hidden_dim=8, window=3),
    "cbow": Word2VecConfig(hidden_dim=8, window=3),
    "fasttext": FastTextConfig(hidden_dim=8, window=3, min_n=1, max_n=2, buckets=60),
    "glove": GloVeConfig(hidden_dim=8, window=3),
    "fasttext_classifier": FastTextClassifierConfig(hidden_dim=8, buckets=60),
    "lstm": RNNConfig(num_layers=1, hidden_dim=8, dropout=0.1),
    "gru": RNNConfig(cell="gru", num_layers=1, hidden_dim=8, embedding_dim=4),
    "gpt": GPTConfig(
        num_layers=1,
        num_heads=2,
        num_key_value_heads=1,
        hidden_dim=8,
        intermediate_dim=8,
        max_sequence_length=16,
        activation="swiglu",
        dropout=0.1,
    ),
    "seq2seq_transformer": Seq2SeqTransformerConfig(
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=8,
        share_embeddings="decoder",
        max_source_length=64,
        max_sequence_length=64,
    ),
    "seq2seq_lstm": Seq2SeqLSTMConfig(num_layers=1, hidden_dim=8, embedding_dim=4),
}
OBJECTIVES = {
    "skip_gram": SkipGramConfig(),
    "cbow": CBOWConfig(),
    "fasttext": SkipGramConfig(),
    "glove": LeastSquaresConfig(),
    "fasttext_classifier": ClassifyBagConfig(),
    # One source with a tokenizer of its own, one that shares it.
    "seq2seq_transformer": Seq2SeqConfig(
        source_tokenizer=TokenizerConfig(kind="character"), metric_pairs=0
    ),
    "seq2seq_lstm": Seq2SeqConfig(metric_pairs=0),
}
# GPT has all that training can keep: slots, a moving average, a scale of the loss, states of dropout.
TRAINING = {
    "gpt": {"optimizer": "adamw", "ema": 0.9, "precision": "mixed_float16"},
    "glove": {"optimizer": "adagrad"},
    "seq2seq_transformer": {"optimizer": "adamw", "sequence_length": 64},
    "seq2seq_lstm": {"sequence_length": 64},
}
OF_PAIRS = ("seq2seq_transformer", "seq2seq_lstm")


def experiment(family: str, **train) -> Experiment:
    updates_rows = family in OBJECTIVES and family not in OF_PAIRS
    settings = {
        "steps": 2,
        "batch_size": 4,
        "accumulation": 1 if updates_rows else 2,
        "sequence_length": 16,
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "warmup_steps": 0,
        "precision": "float32",
        "eval_every": 2,
        "log_every": 1,
        "sample_tokens": 0,
        "jit_compile": "off",
    }
    if updates_rows:
        settings |= {"clip_norm": 0.0, "weight_decay": 0.0}
    corpus = LABELLED if family == "fasttext_classifier" else CORPUS
    corpus = PAIRS if family in OF_PAIRS else corpus
    return Experiment(
        model=MODELS[family],
        objective=OBJECTIVES.get(family, CausalConfig()),
        tokenizer=TokenizerConfig(kind="byte"),
        data=DataConfig(corpus=corpus, documents="line", validation_fraction=0.2, workers=1),
        train=TrainConfig(**(settings | TRAINING.get(family, {}) | train)),
    )


def token_ids() -> np.ndarray:
    return np.random.default_rng(11).integers(0, 260, (2, 6)).astype("int32")


def source_ids() -> np.ndarray:
    """Of few different ids, as a small tokenizer of a source has them; the second ends in padding."""
    ids = np.random.default_rng(12).integers(4, 15, (2, 5)).astype("int32")
    ids[1, 3:] = 0
    return ids


def logits_of(model) -> np.ndarray:
    """Every 20th logit of every position: (2, 6, 13); the vectors of the tokens where there are none: (2, 6, 8)."""
    from keras import ops

    if hasattr(model, "encode"):
        return np.array(ops.convert_to_numpy(model(token_ids(), source_ids())))[:, :, ::20]
    if not hasattr(model, "step"):
        return np.array(ops.convert_to_numpy(model.embeddings()))[token_ids()]
    return np.array(ops.convert_to_numpy(model(token_ids())))[:, :, ::20]


def make(family: str) -> None:
    run_dir = FOLDER / family
    shutil.rmtree(run_dir, ignore_errors=True)
    fit.train(experiment(family), run_dir)
    shutil.rmtree(run_dir / "tensorboard")
    (run_dir / ".lock").unlink()
    logits = logits_of(run.load(run_dir).model)
    rounded = [[[float(f"{x:.7g}") for x in place] for place in row] for row in logits]
    (run_dir / "logits.json").write_text(json.dumps(rounded) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        make(name)
