"""BLEU and chrF of translations, by sacrebleu, with the signatures that say how they were computed.

Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"; Popović 2015, "chrF: character
n-gram F-score for automatic MT evaluation"; Post 2018, "A Call for Clarity in Reporting BLEU Scores".
"""

from collections.abc import Sequence

from tflm.errors import UserError, unknown_name

# Of sacrebleu's tokenizers, those that need neither a download nor another package.
TOKENIZERS = ("13a", "intl", "zh", "char", "none")


def check_tokenizer(name: str) -> None:
    """Raises UserError for a name that is none of TOKENIZERS."""
    if name not in TOKENIZERS:
        raise unknown_name("tokenizer of BLEU", name, TOKENIZERS)


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], tokenize: str = "13a"
) -> dict:
    """Corpus scores from 0 to 100 with one reference each; more is better.

    Args:
        hypotheses, references: texts as a reader sees them (detokenized), as many of the one as of the other.
        tokenize: one of TOKENIZERS, for BLEU: "13a" as the literature has it for European languages, "zh" for Chinese.

    Returns:
        bleu, chrf, brevity_penalty (of BLEU, 1 for none), bleu_signature, chrf_signature.

    Raises:
        UserError: for an unknown tokenizer, no texts at all, or another number of references than of hypotheses.
    """
    from sacrebleu.metrics import BLEU, CHRF

    check_tokenizer(tokenize)
    check_pairs(hypotheses, references)
    # sacrebleu warns of texts that look tokenized; whoever gives them has chosen "none".
    bleu, chrf = BLEU(tokenize=tokenize, force=True), CHRF()
    counted = bleu.corpus_score(hypotheses, [references])
    return {
        "bleu": float(counted.score),
        "chrf": float(chrf.corpus_score(hypotheses, [references]).score),
        "brevity_penalty": float(counted.bp),
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
    }


def check_pairs(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    """Raises UserError unless there are as many hypotheses as references, and some."""
    if not hypotheses or len(hypotheses) != len(references):
        raise UserError(
            "A score needs a reference for every hypothesis, and one pair at least. Received: "
            f"{len(hypotheses):,} hypotheses, {len(references):,} references."
        )
