"""BERT, GPT-2 and Llama: which family they are here, by config and by the names of the weights.

An architecture has, by its `model_type` in config.json,

    to_config(values)     -> the family's config; raises UserError for a variant that the family does not have
    from_config(config)   -> values of config.json; raises UserError for a config that the architecture does not have
    names(config)         -> the table of names
    prefix                -> what stands before every tensor's name in a file that was saved without a head
"""

import dataclasses
from collections.abc import Callable

from tflm.errors import UserError
from tflm.huggingface.weights import Name, linear, norm
from tflm.models.bert import BERTConfig
from tflm.models.gpt import GPTConfig

ACTIVATIONS = {
    "gelu": "gelu_exact",
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "relu": "relu",
}


@dataclasses.dataclass(frozen=True)
class Architecture:
    name: str  # of the class in transformers
    to_config: Callable
    from_config: Callable
    names: Callable
    prefix: str


def _need(values: dict, **wanted) -> None:
    """Raises UserError where config.json asks for what is not computed here."""
    for key, value in wanted.items():
        if values.get(key, value) != value:
            raise UserError(
                f"config.json has {key}={values[key]!r}, which is not known here; known is {value!r}. "
                "Give a model without it."
            )


def _need_config(config, architecture: str, **wanted) -> None:
    for field, value in wanted.items():
        if getattr(config, field) != value:
            raise UserError(
                f"A {architecture} has {field}={value!r}. Received a model with {getattr(config, field)!r}, "
                "which has no such form there."
            )


def _activation(values: dict, key: str) -> str:
    if values.get(key) not in ACTIVATIONS:
        raise UserError(
            f"config.json has {key}={values.get(key)!r}. Known are: {', '.join(ACTIVATIONS)}."
        )
    return ACTIVATIONS[values[key]]


def _their_activation(config) -> str:
    return next(theirs for theirs, ours in ACTIVATIONS.items() if ours == config.activation)


def _bert_config(values: dict) -> BERTConfig:
    _need(values, position_embedding_type="absolute", is_decoder=False)
    return BERTConfig(
        vocabulary_size=values["vocab_size"],
        num_layers=values["num_hidden_layers"],
        num_heads=values["num_attention_heads"],
        hidden_dim=values["hidden_size"],
        intermediate_dim=values["intermediate_size"],
        max_sequence_length=values["max_position_embeddings"],
        num_segments=values["type_vocab_size"],
        norm_epsilon=values.get("layer_norm_eps", 1e-12),
        activation=_activation(values, "hidden_act"),
        dropout=values.get("hidden_dropout_prob", 0.1),
        attention_dropout=values.get("attention_probs_dropout_prob", 0.1),
    )


def _bert_values(config: BERTConfig) -> dict:
    _need_config(
        config,
        "BERT",
        positions="learned",
        normalization="layer_norm",
        norm_first=False,
        use_bias=True,
    )
    attention_dropout = config.attention_dropout
    return {
        "vocab_size": config.vocabulary_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "hidden_size": config.hidden_dim,
        "intermediate_size": config.intermediate_dim or 4 * config.hidden_dim,
        "max_position_embeddings": config.max_sequence_length,
        "type_vocab_size": config.num_segments,
        "layer_norm_eps": config.norm_epsilon,
        "hidden_act": _their_activation(config),
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout
        if attention_dropout is None
        else attention_dropout,
        "pad_token_id": 0,
    }


def _bert_names(config: BERTConfig) -> list[Name]:
    width = (config.hidden_dim,) * 3
    names = [
        Name(f"{ours}_embedding/embeddings", (f"bert.embeddings.{theirs}_embeddings.weight",))
        for ours, theirs in (("token", "word"), ("position", "position"), ("segment", "token_type"))
    ]
    names += norm("embedding_norm", "bert.embeddings.LayerNorm")
    for i in range(config.num_layers):
        ours, theirs = f"block_{i}", f"bert.encoder.layer.{i}"
        attention = [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")]
        names += linear(f"{ours}/attention/query_key_value", *attention, bias=True, sizes=width)
        names += linear(
            f"{ours}/attention/output_projection", f"{theirs}.attention.output.dense", bias=True
        )
        names += norm(f"{ours}/attention_norm", f"{theirs}.attention.output.LayerNorm")
        names += linear(f"{ours}/feed_forward/expand", f"{theirs}.intermediate.dense", bias=True)
        names += linear(
            f"{ours}/feed_forward/output_projection", f"{theirs}.output.dense", bias=True
        )
        names += norm(f"{ours}/feed_forward_norm", f"{theirs}.output.LayerNorm")
    head = "cls.predictions.transform"
    names += linear("pooler", "bert.pooler.dense", bias=True, optional=True)
    names += linear("prediction", f"{head}.dense", bias=True, optional=True)
    names += norm("prediction_norm", f"{head}.LayerNorm", optional=True)
    names += linear("pair_output", "cls.seq_relationship", bias=True, optional=True)
    return [*names, Name("output_bias", ("cls.predictions.bias",), optional=True)]


def _gpt2_config(values: dict) -> GPTConfig:
    _need(values, scale_attn_by_inverse_layer_idx=False, add_cross_attention=False)
    return GPTConfig(
        vocabulary_size=values["vocab_size"],
        num_layers=values["n_layer"],
        num_heads=values["n_head"],
        hidden_dim=values["n_embd"],
        intermediate_dim=values.get("n_inner") or 4 * values["n_embd"],
        max_sequence_length=values["n_positions"],
        positions="learned",
        normalization="layer_norm",
        norm_epsilon=values.get("layer_norm_epsilon", 1e-5),
        activation=_activation(values, "activation_function"),
        use_bias=True,
        dropout=values.get("resid_pdrop", 0.1),
    )


def _gpt2_values(config: GPTConfig) -> dict:
    _need_config(
        config,
        "GPT-2",
        positions="learned",
        normalization="layer_norm",
        use_bias=True,
        tie_embeddings=True,
        num_key_value_heads=None,
    )
    return {
        "vocab_size": config.vocabulary_size,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_embd": config.hidden_dim,
        "n_inner": config.intermediate_dim or 4 * config.hidden_dim,
        "n_positions": config.max_sequence_length,
        "layer_norm_epsilon": config.norm_epsilon,
        "activation_function": _their_activation(config),
        **{f"{part}_pdrop": config.dropout for part in ("embd", "attn", "resid")},
    }


def _gpt2_names(config: GPTConfig) -> list[Name]:
    def conv(ours: str, theirs: str) -> list[Name]:
        """transformers' Conv1D lies as ours do."""
        return [
            Name(f"{ours}/kernel", (f"{theirs}.weight",)),
            Name(f"{ours}/bias", (f"{theirs}.bias",)),
        ]

    names = [
        Name("token_embedding/embeddings", ("transformer.wte.weight",)),
        Name("position_embedding/embeddings", ("transformer.wpe.weight",)),
    ]
    for i in range(config.num_layers):
        ours, theirs = f"block_{i}", f"transformer.h.{i}"
        names += norm(f"{ours}/attention_norm", f"{theirs}.ln_1")
        names += conv(f"{ours}/attention/query_key_value", f"{theirs}.attn.c_attn")
        names += conv(f"{ours}/attention/output_projection", f"{theirs}.attn.c_proj")
        names += norm(f"{ours}/feed_forward_norm", f"{theirs}.ln_2")
        names += conv(f"{ours}/feed_forward/expand", f"{theirs}.mlp.c_fc")
        names += conv(f"{ours}/feed_forward/output_projection", f"{theirs}.mlp.c_proj")
    return names + norm("final_norm", "transformer.ln_f")


def _llama_config(values: dict) -> GPTConfig:
    _need(values, rope_scaling=None, attention_bias=False, mlp_bias=False, hidden_act="silu")
    rope = values.get("rope_parameters") or values  # since version 5 of transformers
    _need(rope, rope_type="default")
    heads = values["num_attention_heads"]
    _need(values, head_dim=values["hidden_size"] // heads)
    return GPTConfig(
        vocabulary_size=values["vocab_size"],
        num_layers=values["num_hidden_layers"],
        num_heads=heads,
        num_key_value_heads=values.get("num_key_value_heads") or heads,
        hidden_dim=values["hidden_size"],
        intermediate_dim=values["intermediate_size"],
        max_sequence_length=values["max_position_embeddings"],
        positions="rotary",
        rotary_base=float(rope.get("rope_theta", 10_000.0)),
        normalization="rms_norm",
        norm_epsilon=values.get("rms_norm_eps", 1e-6),
        activation="swiglu",
        tie_embeddings=values.get("tie_word_embeddings", False),
        dropout=values.get("attention_dropout", 0.0),
    )


def _llama_values(config: GPTConfig) -> dict:
    _need_config(
        config,
        "Llama",
        positions="rotary",
        normalization="rms_norm",
        activation="swiglu",
        use_bias=False,
    )
    return {
        "vocab_size": config.vocabulary_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_key_value_heads or config.num_heads,
        "hidden_size": config.hidden_dim,
        "intermediate_size": config.intermediate_dim or 4 * config.hidden_dim,
        "max_position_embeddings": config.max_sequence_length,
        "rope_theta": config.rotary_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rotary_base},
        "rms_norm_eps": config.norm_epsilon,
        "hidden_act": "silu",
        "tie_word_embeddings": config.tie_embeddings,
        "attention_dropout": config.dropout,
    }


def _llama_names(config: GPTConfig) -> list[Name]:
    head = config.hidden_dim // config.num_heads
    keys = head * (config.num_key_value_heads or config.num_heads)
    inner = config.intermediate_dim or 4 * config.hidden_dim
    names = [Name("token_embedding/embeddings", ("model.embed_tokens.weight",))]
    for i in range(config.num_layers):
        ours, theirs = f"block_{i}", f"model.layers.{i}"
        attention = [f"{theirs}.self_attn.{part}_proj" for part in "qkv"]
        names += linear(
            f"{ours}/attention/query_key_value",
            *attention,
            bias=False,
            sizes=(config.hidden_dim, keys, keys),
        )
        names += linear(
            f"{ours}/attention/output_projection", f"{theirs}.self_attn.o_proj", bias=False
        )
        gated = [f"{theirs}.mlp.{part}_proj" for part in ("gate", "up")]
        names += linear(f"{ours}/feed_forward/expand", *gated, bias=False, sizes=(inner, inner))
        names += linear(
            f"{ours}/feed_forward/output_projection", f"{theirs}.mlp.down_proj", bias=False
        )
        names.append(Name(f"{ours}/attention_norm/scale", (f"{theirs}.input_layernorm.weight",)))
        names.append(
            Name(f"{ours}/feed_forward_norm/scale", (f"{theirs}.post_attention_layernorm.weight",))
        )
    names.append(Name("final_norm/scale", ("model.norm.weight",)))
    if not config.tie_embeddings:
        names += linear("unembedding", "lm_head", bias=False)
    return names


ARCHITECTURES = {
    "bert": Architecture("BertForPreTraining", _bert_config, _bert_values, _bert_names, "bert."),
    "gpt2": Architecture(
        "GPT2LMHeadModel", _gpt2_config, _gpt2_values, _gpt2_names, "transformer."
    ),
    "llama": Architecture("LlamaForCausalLM", _llama_config, _llama_values, _llama_names, "model."),
}


def architecture_of(config) -> str:
    """The model_type that a config of ours has there.

    Raises:
        UserError: for a family without one.
    """
    if isinstance(config, BERTConfig):
        return "bert"
    if isinstance(config, GPTConfig):
        return "llama" if config.positions == "rotary" else "gpt2"
    raise UserError(
        f"A folder for transformers is for models of bert and gpt. Received: {type(config).__name__}."
    )
