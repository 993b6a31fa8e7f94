"""Skip-gram with negative sampling: word vectors from the words around a word.

Mikolov et al. 2013b, "Distributed Representations of Words and Phrases and their Compositionality": equation 4 (the
loss), section 2.2 (negatives from the unigram distribution to the power 3/4), section 2.3 (subsampling).

Shapes: B batch, N negatives, V vocabulary.
"""

import dataclasses

import numpy as np

from tflm.config import check_ranges
from tflm.data.features import LABELS, TOKEN_IDS, WEIGHTS
from tflm.data.order import permute
from tflm.errors import UserError

NUM_SPECIAL_IDS = 4  # pad, unk, bos, eos: neither centers nor contexts nor negatives


@dataclasses.dataclass
class SkipGramConfig:
    """
    Attributes:
        negatives: drawn for every pair.
        power: of the unigram distribution they are drawn from.
        subsample: words more frequent than this share of the text are skipped at random; 0 for none.
    """

    negatives: int = 5
    power: float = 0.75
    subsample: float = 1e-3

    def __post_init__(self):
        check_ranges(self, negatives=(1, None), power=(0, None), subsample=(0, None))


class SkipGramObjective:
    score_name = "loss"

    def __init__(self, config: SkipGramConfig):
        self.config = config

    def batches(self, split, model, train):
        return SkipGramPairs(split, self.config, model.config, train.batch_size, train.seed)

    def initial_carry(self, model, batch_size: int) -> dict:
        return {}

    def loss(self, model, batch, carry):
        from keras import ops

        scores = model.pair_scores(batch[TOKEN_IDS], batch[LABELS])  # (B, 1 + N), the context first
        signs = ops.concatenate([ops.ones_like(scores[:, :1]), -ops.ones_like(scores[:, 1:])], -1)
        losses = ops.sum(ops.softplus(-signs * scores), axis=-1)  # -log sigmoid
        return ops.sum(losses * batch[WEIGHTS]), carry

    def evaluator(self, model, train, tokenizer):
        from tflm.backend import compiled

        score = compiled(model, lambda batch: self.loss(model, batch, {})[0])

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            num_tokens = min(max_tokens or len(split.tokens), len(split.tokens))
            pairs = SkipGramPairs(split, self.config, model.config, train.batch_size, seed=0)
            num_batches = -(-num_tokens // train.batch_size)
            total, count = 0.0, 0
            for step in range(num_batches):
                batch = pairs.batch(step)
                num_pairs = int(np.count_nonzero(batch[WEIGHTS]))  # the others were subsampled
                total += float(score(batch)) * num_pairs
                count += num_pairs
                if progress is not None:
                    progress("evaluate", step + 1, num_batches)
            return {"loss": total / max(count, 1), "num_pairs": count}

        return evaluate


class SkipGramPairs:
    """Batch k as a function of (split, seed, k): one context word for each of B words of the text.

    The text is walked in a permuted order, once an epoch. The context is drawn as a dynamic window does it: a width
    uniform in 1..window, then a place uniform within it. Pairs that fall on a special id, cross the end of a document
    or lose the draw of subsampling have weight 0.
    """

    def __init__(self, split, config: SkipGramConfig, model_config, batch_size: int, seed: int):
        self.tokens = split.tokens
        if len(self.tokens) < 2 * model_config.window + 2:
            raise UserError(
                f"The {split.name} text has {len(self.tokens)} tokens, fewer than one window of "
                f"{2 * model_config.window + 2}. Give more text or a smaller `model.window`."
            )
        self.split = split
        self.window, self.batch_size, self.seed = model_config.window, batch_size, seed
        self.negatives = config.negatives
        counts = _counts(split, model_config.vocabulary_size)
        counts[:NUM_SPECIAL_IDS] = 0
        weights = counts**config.power
        self.cumulative = np.cumsum(weights) / weights.sum()
        share = counts / counts.sum()
        self.keep = np.ones_like(share)
        if config.subsample:
            with np.errstate(divide="ignore", invalid="ignore"):
                # word2vec.c's form of the paper's section 2.3
                keep = np.sqrt(config.subsample / share) + config.subsample / share
            self.keep = np.where(share > 0, np.minimum(keep, 1), 0)

    def batch(self, step: int) -> dict:
        random = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        size, length = self.batch_size, len(self.tokens)
        examples = step * size + np.arange(size)
        places = np.empty(size, np.int64)
        for epoch in np.unique(examples // length):
            chosen = examples // length == epoch
            seed = self.seed * 1_000_003 + int(epoch)
            places[chosen] = permute(examples[chosen] % length, length, seed)
        width = random.integers(1, self.window + 1, size)
        distance = random.integers(1, width + 1)
        others = places + np.where(random.random(size) < 0.5, -distance, distance)
        inside = (others >= 0) & (others < length)
        others = np.clip(others, 0, length - 1)
        centers = self.tokens[places].astype("int32")
        contexts = self.tokens[others].astype("int32")
        # BOS and EOS stand between documents: a pair that crosses them lies within the window of one.
        low, high = np.minimum(places, others), np.maximum(places, others)
        between = low[:, None] + np.arange(self.window + 1)[None, :]
        between = np.minimum(between, high[:, None])
        crosses = (self.tokens[between] < NUM_SPECIAL_IDS).any(axis=1)
        kept = (random.random(size) < self.keep[centers]) & (
            random.random(size) < self.keep[contexts]
        )
        self.split.release_pages()
        used = inside & ~crosses & kept
        negatives = np.searchsorted(self.cumulative, random.random((size, self.negatives)))
        return {
            TOKEN_IDS: centers,
            LABELS: np.concatenate([contexts[:, None], negatives.astype("int32")], axis=1),
            WEIGHTS: (used / max(used.sum(), 1)).astype("float32"),
        }


def _counts(split, vocabulary_size: int) -> np.ndarray:
    """How often each token occurs, read block by block so that the memory does not grow with the text."""
    counts = np.zeros(vocabulary_size, "int64")
    for first in range(0, len(split.tokens), 1 << 20):
        block = split.tokens[first : first + (1 << 20)]
        counts += np.bincount(block, minlength=vocabulary_size)
        split.release_pages()
    return counts.astype("float64")
