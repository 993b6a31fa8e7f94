"""One vector for a text, from what an encoder makes of its tokens.

Shapes: B batch, T time, D hidden.
"""

from keras import ops

POOLINGS = ("first", "last", "mean", "max")


def encoded(encoder, token_ids, segment_ids=None, padding_mask=None, training=None):
    """What BERT, or a language model of any family, makes of every token: (B, T, D)."""
    if hasattr(encoder, "sequence"):
        return encoder.sequence(token_ids, segment_ids, padding_mask, training)
    return encoder.hidden(token_ids, training=training)[0]


def pool(sequence, padding_mask, how: str):
    """
    Args:
        sequence: (B, T, D). padding_mask: (B, T) bool, True where a token is; padding is at the end.
        how: one of POOLINGS: the first token's, the last one's, or the mean or the maximum of all.

    Returns:
        (B, D).
    """
    if how == "first":
        return sequence[:, 0]
    if how == "max":
        return ops.max(ops.where(padding_mask[..., None], sequence, -1e4), axis=1)
    is_token = ops.cast(padding_mask, sequence.dtype)[..., None]
    if how == "last":
        # Where the mask goes from 1 to 0, or the row ends.
        is_token = is_token - ops.pad(is_token[:, 1:], ((0, 0), (0, 1), (0, 0)))
        return ops.sum(sequence * is_token, axis=1)
    return ops.sum(sequence * is_token, axis=1) / ops.sum(is_token, axis=1)
