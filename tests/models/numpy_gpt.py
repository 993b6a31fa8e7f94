"""GPT again, in plain numpy and float64: one position, one head, one key at a time, from the papers' equations.

Nothing is shared with the model but the names of its weights.
"""

import numpy as np


def logits(config, weights: dict[str, np.ndarray], token_ids) -> np.ndarray:
    """The logits of every position of one text.

    Args:
        config: a GPTConfig. weights: by the variable's path. token_ids: T integers.

    Returns:
        (T, V) float64.
    """
    weights = {path.removeprefix("gpt/"): w.astype("float64") for path, w in weights.items()}
    table = weights["token_embedding/embeddings"]
    stream = [table[token].copy() for token in token_ids]
    if config.positions == "learned":
        stream = [x + weights["position_embedding/embeddings"][t] for t, x in enumerate(stream)]
    for i in range(config.num_layers):
        block = part(weights, f"block_{i}")
        mixed = attention(
            config,
            part(block, "attention"),
            [normalize(config, part(block, "attention_norm"), x) for x in stream],
        )
        stream = [x + a for x, a in zip(stream, mixed, strict=True)]
        stream = [
            x
            + feed_forward(
                config,
                part(block, "feed_forward"),
                normalize(config, part(block, "feed_forward_norm"), x),
            )
            for x in stream
        ]
    stream = [normalize(config, part(weights, "final_norm"), x) for x in stream]
    kernel = table.T if config.tie_embeddings else weights["unembedding/kernel"]
    return np.stack([x @ kernel for x in stream])


def part(weights: dict, prefix: str) -> dict:
    return {
        path.removeprefix(prefix + "/"): value
        for path, value in weights.items()
        if path.startswith(prefix + "/")
    }


def dense(weights: dict, x):
    y = x @ weights["kernel"]
    return y + weights["bias"] if "bias" in weights else y


def normalize(config, weights: dict, x):
    if config.normalization == "layer_norm":
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return x * weights["gamma"] + weights["beta"]
    return x / np.sqrt((x * x).mean() + 1e-5) * weights["scale"]


def attention(config, weights: dict, inputs: list) -> list:
    heads = config.num_heads
    groups = config.num_key_value_heads or heads
    width = config.hidden_dim // heads
    queries, keys, values = [], [], []
    for position, x in enumerate(inputs):
        mixed = dense(part(weights, "query_key_value"), x).reshape(heads + 2 * groups, width)
        query, key = mixed[:heads], mixed[heads : heads + groups]
        if config.positions == "rotary":
            query = np.stack([turn(config, q, position) for q in query])
            key = np.stack([turn(config, k, position) for k in key])
        queries.append(query)
        keys.append(key)
        values.append(mixed[heads + groups :])
    outputs = []
    for position in range(len(inputs)):
        mixed = []
        for head in range(heads):
            group = head // (heads // groups)
            scores = np.array(
                [queries[position][head] @ keys[t][group] for t in range(position + 1)]
            )
            scores = np.exp(scores / np.sqrt(width))
            shares = scores / scores.sum()
            mixed.append(sum(s * values[t][group] for t, s in enumerate(shares)))
        outputs.append(dense(part(weights, "output_projection"), np.concatenate(mixed)))
    return outputs


def turn(config, x, position: int):
    """Su et al. 2021, equation 12: pairs of numbers as one complex number, turned by the position."""
    half = len(x) // 2
    z = x[:half] + 1j * x[half:]
    for i in range(half):
        z[i] *= np.exp(1j * position * config.rotary_base ** (-2 * i / len(x)))
    return np.concatenate([z.real, z.imag])


def feed_forward(config, weights: dict, x):
    x = dense(part(weights, "expand"), x)
    if config.activation == "swiglu":
        gate, x = np.split(x, 2)
        x = gate / (1 + np.exp(-gate)) * x
    else:
        # Hendrycks and Gimpel 2016, section 2, the approximation with tanh
        x = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return dense(part(weights, "output_projection"), x)
