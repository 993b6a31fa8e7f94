"""One file a family; a family is a config dataclass and a model."""

import dataclasses
import importlib

from tflm import config as configs
from tflm.errors import UserError, unknown_name

# family -> (module, config dataclass, model); imported only when asked for.
FAMILIES = {
    "word2vec": ("tflm.models.word2vec", "Word2VecConfig", "Word2Vec"),
    "fasttext": ("tflm.models.fasttext", "FastTextConfig", "FastText"),
    "glove": ("tflm.models.glove", "GloVeConfig", "GloVe"),
    "rnn": ("tflm.models.rnn", "RNNConfig", "RNN"),
    "gpt": ("tflm.models.gpt", "GPTConfig", "GPT"),
    "bert": ("tflm.models.bert", "BERTConfig", "BERT"),
    "seq2seq_transformer": (
        "tflm.models.seq2seq_transformer",
        "Seq2SeqTransformerConfig",
        "Seq2SeqTransformer",
    ),
    "seq2seq_lstm": ("tflm.models.seq2seq_lstm", "Seq2SeqLSTMConfig", "Seq2SeqLSTM"),
    "classifier": ("tflm.models.classifier", "ClassifierConfig", "Classifier"),
    "span_reader": ("tflm.models.span_reader", "SpanReaderConfig", "SpanReader"),
    "tagger": ("tflm.models.tagger", "TaggerConfig", "Tagger"),
    "fasttext_classifier": (
        "tflm.models.fasttext_classifier",
        "FastTextClassifierConfig",
        "FastTextClassifier",
    ),
}


def config_class(family: str) -> type:
    """The config dataclass of a family."""
    if family not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)
    module, config_name, _ = FAMILIES[family]
    return getattr(importlib.import_module(module), config_name)


def family_of(config) -> str:
    """The name of the family that a config belongs to."""
    for family, (_, config_name, _) in FAMILIES.items():
        if type(config).__name__ == config_name:
            return family
    raise unknown_name("model config", type(config).__name__, [c for _, c, _ in FAMILIES.values()])


def model_class(config) -> type:
    """The model that a config is of."""
    module, _, model_name = FAMILIES[family_of(config)]
    return getattr(importlib.import_module(module), model_name)


def check_encoder(config, families) -> None:
    """Raises UserError where `config`, the field `encoder` of another one, is of none of these families."""
    family = family_of(config)
    if family not in families:
        raise UserError(
            f"`model.encoder` must be of one of {', '.join(families)}. Received a config of {family}."
        )


def encoder_of(model):
    """The encoder that a model is put on top of; the model itself where there is none."""
    return model.encoder if hasattr(model.config, "encoder") else model


def to_dict(config) -> dict:
    """A family's config as plain values; `family` says which, in its encoder, too."""
    values = {"family": family_of(config), **configs.to_dict(config)}
    if "encoder" in values:
        values["encoder"] = to_dict(config.encoder)
    return values


def from_dict(values: dict, path: str = "model"):
    """What `to_dict` gave, back.

    Raises:
        UserError: for an unknown family, key or type.
    """
    values = dict(values)
    found = config_class(values.pop("family"))
    encoder = values.pop("encoder", None)
    config = configs.from_dict(found, values, path)
    if encoder is not None:
        config = dataclasses.replace(config, encoder=from_dict(encoder, f"{path}.encoder"))
    return config


def build(config, seed: int = 0, precision: str = "float32", initializers: dict | None = None):
    """The model of a config, with every variable made and initialised.

    Args:
        config: a family's config, with its vocabulary_size filled in.
        seed: decides the initial weights, see `tflm.models.initialization`.
        precision: a Keras dtype policy: float32, mixed_bfloat16 or mixed_float16.
        initializers: of the objective, where it wants other initial weights than the family's.
    """
    import keras
    import numpy as np

    from tflm.layers.lora import add_lora
    from tflm.models.initialization import initialize
    from tflm.models.sequence_to_sequence import SequenceToSequence

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = model_class(config)(config)
        token_ids = np.zeros((1, 2), "int32")
        reads_source = isinstance(model, SequenceToSequence)
        _ = model(token_ids, token_ids) if reads_source else model(token_ids)
        if getattr(config, "lora_rank", 0):
            add_lora(model.encoder, config.lora_rank)
    finally:
        keras.config.set_dtype_policy(before)
    initialize(model, seed, initializers or {})
    return model


def read_vocabulary(model, tokenizer) -> None:
    """Lets a model that looks into its words (FastText) see them; called once, after it is built.

    Args:
        tokenizer: a tflm.text tokenizer.
    """
    if hasattr(model, "read_vocabulary"):
        model.read_vocabulary([tokenizer.piece(i) for i in range(tokenizer.vocabulary_size)])
