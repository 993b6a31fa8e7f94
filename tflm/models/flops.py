"""Floating-point operations of a model, by its config alone.

A product of (m, k) and (k, n) is 2 m k n operations. Backward it is two such products, one for each factor, so that
training costs three times the forward pass: 6 operations for each weight that a token is multiplied by, and 12 L D T
for the scores and the averages of attention (Kaplan et al. 2020, section 2.1; Chowdhery et al. 2022, "PaLM",
appendix B). What is looked up or done element by element is not counted, what a model computes twice to save memory
is counted once, and attention is counted over the whole square of positions, of which a causal model needs half:
these are the "model FLOPs" of MFU as others report it. A token of an encoder-decoder is one of either side: the count
is the mean over a source and a target of T tokens each.

Shapes: D hidden, T time, H heads, K key-value heads, Dh head, U units, E embedding, V vocabulary.
"""

from tflm.layers.recurrent import CELLS
from tflm.models import family_of

TRAINING_PASSES = 3  # forward, and backward two


def training_flops_per_token(config, sequence_length: int) -> int | None:
    """Operations for one token of a training by the full softmax over the vocabulary.

    Args:
        config: a family's config, with its vocabulary_size filled in.
        sequence_length: T, tokens the model reads in one sequence, or on either side.

    Returns:
        None for a family that is not trained by matrix products but by changing rows of tables. (Word2Vec is counted
        as a language model; whoever trains it as skip-gram must not ask.)
    """
    count = _FORWARD.get(family_of(config))
    return None if count is None else TRAINING_PASSES * count(config, sequence_length)


def _gpt(config, sequence_length: int) -> int:
    block = 2 * (_attention_weights(config) + _feed_forward_weights(config))
    block += _attending(config, sequence_length)
    return config.num_layers * block + 2 * config.hidden_dim * config.vocabulary_size


def _bert(config, sequence_length: int) -> int:
    """Without the predictions: which share of the tokens has one is the objective's."""
    block = 2 * (_attention_weights(config) + _feed_forward_weights(config))
    return config.num_layers * (block + _attending(config, sequence_length))


def _attention_weights(config) -> int:
    """From the stream to q, k and v, and from the heads back."""
    width = config.hidden_dim
    head = width // config.num_heads
    key_value_heads = config.num_key_value_heads or config.num_heads
    return width * (config.num_heads + 2 * key_value_heads) * head + width * width


def _feed_forward_weights(config) -> int:
    inner = config.intermediate_dim or 4 * config.hidden_dim
    return config.hidden_dim * inner * (3 if config.activation == "swiglu" else 2)


def _attending(config, length: int) -> int:
    return 2 * 2 * config.hidden_dim * length  # q k, and the average of v


def _seq2seq_transformer(config, sequence_length: int) -> int:
    weights, inner = _attention_weights(config), _feed_forward_weights(config)
    attending = _attending(config, sequence_length)
    source = (config.num_encoder_layers or config.num_layers) * (2 * (weights + inner) + attending)
    # q and the way back once a token of the target, k and v once a token of the source: together as in a text.
    both = config.num_layers * (2 * (2 * weights + inner) + 2 * attending)
    return (source + both + 2 * config.hidden_dim * config.vocabulary_size) // 2


def _seq2seq_lstm(config, sequence_length: int) -> int:
    units, embedding = config.hidden_dim, config.embedding_dim or config.hidden_dim
    is_additive = config.attention == "bahdanau"
    source_layers = config.num_encoder_layers or config.num_layers
    # Two directions of half the units.
    weights = sum(
        4 * units * ((units if i else embedding) + units // 2) for i in range(source_layers)
    )
    weights += units * units  # the keys
    weights += sum(
        4 * units * ((units if i else embedding) + units) for i in range(config.num_layers)
    )
    if is_additive:
        weights += units * units + 4 * units * units  # the query, and the average into the step
    elif config.input_feeding:
        weights += 4 * units * embedding
    weights += 2 * units * embedding + embedding * config.vocabulary_size
    return (2 * weights + 2 * 2 * units * sequence_length) // 2


def _rnn(config, sequence_length: int) -> int:
    gates, widths = CELLS[config.cell].gates, config.widths
    embedding = config.embedding_dim or config.hidden_dim
    inputs = [embedding, *widths[:-1]]
    weights = sum(gates * u * (n + u) for n, u in zip(inputs, widths, strict=True))
    if config.tie_embeddings:
        weights += embedding * config.vocabulary_size
        weights += widths[-1] * embedding if embedding != widths[-1] else 0  # the narrowing
    else:
        weights += widths[-1] * config.vocabulary_size
    return 2 * weights


def _word2vec(config, sequence_length: int) -> int:
    return 2 * config.hidden_dim * config.vocabulary_size


# family -> operations of the forward pass for one token.
_FORWARD = {
    "gpt": _gpt,
    "bert": _bert,
    "rnn": _rnn,
    "word2vec": _word2vec,
    "seq2seq_transformer": _seq2seq_transformer,
    "seq2seq_lstm": _seq2seq_lstm,
}
