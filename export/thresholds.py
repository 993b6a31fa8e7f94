"""How far an artifact may be from the model it was made of, by quantization, and what is further."""

import dataclasses

PROOF_PAIRS = 200  # held-out pairs that a model which translates is proved on


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """None: measured, not judged.

    Attributes:
        max_logit_difference: the largest |difference| of a logit over held-out windows.
        token_agreement: the least share of places where both find the same token most likely, given the same context.
        greedy_agreement: the least share of prompts, or sources, whose greedy continuation is the same token by token.
        bits_per_byte_change: the largest |change| on held-out text.
        score_loss: the largest loss of BLEU or ROUGE (of 100) on held-out pairs; better by chance is no fault.
        beam_agreement: the least share of sources for which the beam search in the graph finds the same text.
        vector_cosine: the least cosine between a word's vector and its original.
        neighbour_agreement: the least share of nearest words that are the same.
        text_vector_difference: the largest |difference| of a number in the vector of a text, where the largest of all
            numbers in them counts as 1.
        spearman_change: the largest |change| of the rank correlation with a set of word similarities.
    """

    max_logit_difference: float | None
    token_agreement: float
    greedy_agreement: float | None
    bits_per_byte_change: float
    score_loss: float
    beam_agreement: float
    vector_cosine: float
    neighbour_agreement: float
    text_vector_difference: float | None
    spearman_change: float


# float32: rounding of another order of summation, nothing else. The logits of a trained model are of size 1 to 30 and
# differ by 1e-6 to 1e-4; 1e-3 leaves room for large ones, and still no weight can be wrong.
# dynamic_int8: weights and the inputs of products are rounded to 8 bits, so close choices flip, and one flip changes
# the whole rest of a continuation: judged by bits per byte and by tokens chosen in the same context, a translation
# by its BLEU too.
THRESHOLDS = {
    "none": Thresholds(
        max_logit_difference=1e-3,
        token_agreement=0.999,
        greedy_agreement=1.0,
        bits_per_byte_change=1e-4,
        score_loss=0.1,
        beam_agreement=0.97,  # a beam has many close choices
        vector_cosine=0.999999,
        neighbour_agreement=0.99,
        text_vector_difference=1e-5,
        spearman_change=1e-6,
    ),
    "dynamic_int8": Thresholds(
        max_logit_difference=None,
        token_agreement=0.9,
        greedy_agreement=None,
        bits_per_byte_change=0.02,
        score_loss=1.0,
        beam_agreement=0.0,  # what is quantized has none
        vector_cosine=0.99,
        neighbour_agreement=0.8,
        text_vector_difference=None,  # what is quantized takes no strings
        spearman_change=0.01,
    ),
}


def past_limits(
    limits: Thresholds,
    difference: float,
    agreement: float,
    greedy: float,
    greedy_of: str,
    change: float,
) -> list[str]:
    """What of a model's logits is past its threshold, one sentence each.

    Args:
        difference, agreement, greedy, change: of a logit, of tokens, of whole continuations, of bits per byte.
        greedy_of: the sentence about continuations, with a place for their share.
    """
    failures = []
    if limits.max_logit_difference is not None and not difference <= limits.max_logit_difference:
        failures.append(f"max |dlogit| {difference:.2g} is above {limits.max_logit_difference:g}")
    if not agreement >= limits.token_agreement:
        failures.append(f"token agreement {agreement:.4f} is below {limits.token_agreement:g}")
    if limits.greedy_agreement is not None and not greedy >= limits.greedy_agreement:
        failures.append(f"{greedy_of.format(greedy)}, below {limits.greedy_agreement:.0%}")
    if not abs(change) <= limits.bits_per_byte_change:
        failures.append(
            f"the change in bits per byte {change:+.2g} is above {limits.bits_per_byte_change:g}"
        )
    return failures
