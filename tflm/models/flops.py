"""Floating-point operations of a model, by its config alone.

A product of (m, k) and (k, n) is 2 m k n operations. Backward it is two such products, one for each factor, so that
training costs three times the forward pass: 6 operations for each weight that a token is multiplied by, and 12 L D T
for the scores and the averages of attention (Kaplan et al. 2020, section 2.1; Chowdhery et al. 2022, "PaLM",
appendix B). What is looked up or done element by element is not counted, what a model computes twice to save memory
is counted once, and attention is counted over the whole square of positions, of which a causal model needs half:
these are the "model FLOPs" of MFU as others report it.

Shapes: D hidden, T time, H heads, K key-value heads, Dh head, U units, E embedding, V vocabulary.
"""

from tflm.layers.recurrent import CELLS
from tflm.models import family_of

TRAINING_PASSES = 3  # forward, and backward two


def training_flops_per_token(config, sequence_length: int) -> int | None:
    """Operations for one token of a training by the full softmax over the vocabulary.

    Args:
        config: a family's config, with its vocabulary_size filled in.
        sequence_length: T, tokens the model reads in one sequence.

    Returns:
        None for a family that is not trained by matrix products but by changing rows of tables. (Word2Vec is counted
        as a language model; whoever trains it as skip-gram must not ask.)
    """
    count = _FORWARD.get(family_of(config))
    return None if count is None else TRAINING_PASSES * count(config, sequence_length)


def _gpt(config, sequence_length: int) -> int:
    width = config.hidden_dim
    head = width // config.num_heads
    key_value_heads = config.num_key_value_heads or config.num_heads
    inner = config.intermediate_dim or 4 * width
    weights = width * (config.num_heads + 2 * key_value_heads) * head  # to q, k and v
    weights += width * width  # from the heads
    weights += width * inner * (3 if config.activation == "swiglu" else 2)
    attention = 2 * 2 * width * sequence_length  # q k, and the average of v
    return config.num_layers * (2 * weights + attention) + 2 * width * config.vocabulary_size


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
_FORWARD = {"gpt": _gpt, "rnn": _rnn, "word2vec": _word2vec}
