"""Every family once, tiny: every guarantee of the project runs over this zoo."""

import numpy as np

from tflm import models
from tflm.models.gpt import GPTConfig
from tflm.models.rnn import RNNConfig
from tflm.models.seq2seq_lstm import Seq2SeqLSTMConfig
from tflm.models.seq2seq_transformer import Seq2SeqTransformerConfig
from tflm.models.word2vec import Word2VecConfig

VOCABULARY_SIZE = 260  # of the byte tokenizer

ZOO = {
    "word2vec": Word2VecConfig(vocabulary_size=VOCABULARY_SIZE, hidden_dim=16, window=4),
    "lstm": RNNConfig(
        vocabulary_size=VOCABULARY_SIZE, num_layers=2, hidden_dim=24, embedding_dim=16
    ),
    "gru": RNNConfig(
        vocabulary_size=VOCABULARY_SIZE,
        cell="gru",
        num_layers=1,
        hidden_dim=24,
        tie_embeddings=False,
    ),
    "gpt_rotary": GPTConfig(
        vocabulary_size=VOCABULARY_SIZE,
        num_layers=2,
        num_heads=4,
        num_key_value_heads=2,
        hidden_dim=32,
        max_sequence_length=48,
        activation="swiglu",
    ),
    "gpt_learned": GPTConfig(
        vocabulary_size=VOCABULARY_SIZE,
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        max_sequence_length=48,
        positions="learned",
        normalization="layer_norm",
        use_bias=True,
        tie_embeddings=False,
    ),
}

SOURCE_VOCABULARY_SIZE = 90  # where a source has its own
# Encoder-decoders: their guarantees are those of tests/models/test_seq2seq_conformance.py.
SEQ2SEQ_ZOO = {
    "transformer_shared": Seq2SeqTransformerConfig(
        vocabulary_size=VOCABULARY_SIZE,
        num_layers=2,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=48,
        dropout=0.0,
        max_source_length=48,
        max_sequence_length=48,
    ),
    "transformer_separate": Seq2SeqTransformerConfig(
        vocabulary_size=VOCABULARY_SIZE,
        source_vocabulary_size=SOURCE_VOCABULARY_SIZE,
        num_layers=1,
        num_encoder_layers=2,
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=48,
        share_embeddings="none",
        positions="learned",
        norm_first=False,
        activation="gelu",
        dropout=0.0,
        max_source_length=48,
        max_sequence_length=48,
    ),
    "transformer_rotary": Seq2SeqTransformerConfig(
        vocabulary_size=VOCABULARY_SIZE,
        source_vocabulary_size=SOURCE_VOCABULARY_SIZE,
        num_layers=2,
        num_encoder_layers=1,
        num_heads=4,
        num_key_value_heads=2,
        hidden_dim=32,
        intermediate_dim=48,
        share_embeddings="decoder",
        positions="rotary",
        normalization="rms_norm",
        activation="swiglu",
        use_bias=False,
        dropout=0.0,
        max_source_length=48,
        max_sequence_length=48,
    ),
    "lstm_luong": Seq2SeqLSTMConfig(
        vocabulary_size=VOCABULARY_SIZE,
        num_layers=2,
        num_encoder_layers=1,
        hidden_dim=24,
        embedding_dim=16,
        dropout=0.0,
    ),
    "lstm_input_feeding": Seq2SeqLSTMConfig(
        vocabulary_size=VOCABULARY_SIZE,
        source_vocabulary_size=SOURCE_VOCABULARY_SIZE,
        num_layers=2,
        hidden_dim=24,
        embedding_dim=16,
        input_feeding=True,
        share_embeddings="decoder",
        dropout=0.0,
    ),
    "lstm_bahdanau": Seq2SeqLSTMConfig(
        vocabulary_size=VOCABULARY_SIZE,
        source_vocabulary_size=SOURCE_VOCABULARY_SIZE,
        num_layers=2,
        num_encoder_layers=3,
        hidden_dim=24,
        embedding_dim=16,
        attention="bahdanau",
        share_embeddings="none",
        dropout=0.0,
    ),
}


def build(name: str, seed: int = 0, precision: str = "float32"):
    """A model of the zoo with the weights of `spread`."""
    model = models.build((ZOO | SEQ2SEQ_ZOO)[name], seed, precision)
    spread(model, seed)
    return model


def source_ids(lengths=(9, 4, 7), seed: int = 1) -> np.ndarray:
    """Sources for every member of SEQ2SEQ_ZOO: (B, S) int32, with padding behind the shorter ones."""
    random = np.random.default_rng(seed)
    rows = random.integers(4, SOURCE_VOCABULARY_SIZE, (len(lengths), max(lengths)))
    return np.where(np.arange(max(lengths)) < np.array(lengths)[:, None], rows, 0).astype("int32")


def spread(model, seed: int = 0) -> None:
    """Fills every variable with different numbers, large enough that the most likely token changes with the context.

    Matrices keep the size of what passes through them; gains stay near 1.
    """
    random = np.random.default_rng(seed)
    for variable in model.variables:
        shape, name = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
        if "seed_generator" in variable.path:
            continue
        if name in ("gamma", "scale"):
            value = random.uniform(0.8, 1.2, shape)
        elif len(shape) < 2:
            value = random.normal(0, 0.2, shape)
        elif "embedding" in variable.path:
            value = random.normal(0, 0.6, shape)
        else:
            value = random.normal(0, 1.5 * shape[0] ** -0.5, shape)
        variable.assign(value.astype("float32"))
