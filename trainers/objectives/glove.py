"""GloVe's weighted least squares with AdaGrad, over the co-occurrences of the text.

Pennington, Socher and Manning 2014, equations 8 and 9; the arithmetic is that of the authors' glove.c when the paper
appeared (today's lets the biases learn at a rate of 1): with the slope of a pair
e = rate f(X_ij) (w_i . w~_j + b_i + b~_j - log X_ij), and G the sum of all earlier squares, which begins at 1,

    w_i -= e w~_j / sqrt(G)        G += (e w~_j)^2

and the same for w~_j and both biases. glove.c learns pair after pair. Here the steps of a chunk of pairs, all from the
same tables, are added up, each divided by the root of the sum with all other pairs of the chunk. A word is in few pairs
of a chunk, for it stands beside each other word once at most: the loss falls as glove.c's does, within 1 or 2 percent.

What is measured on the validation text is the same loss over its own co-occurrences, with two differences. The text is
smaller than that of the training, and so are all its counts, in log X by about the same number: the loss is the least
over one number added to every log X. And small counts are left out: that a rare pair occurs in a small text at all is
chance, its count says little of how often it is to be expected. (On 4 million words of novels, from epoch 1 to 15, the
loss of pairs that count 5 falls to a fifth while similarities get better and better; that of all pairs stays where it
is.) To hold pairs back from training instead would hold back nothing of the text, and would not serve the test text.

Shapes: C chunks a batch, N pairs a chunk, P = 2N, D hidden.
"""

import dataclasses

import numpy as np
from keras import ops

from tflm.backend import add_rows, compiled
from tflm.config import check_ranges
from tflm.data.cooccurrence import Cooccurrences, cooccurrences
from tflm.data.pair_batches import COUNTS, FIRST_IDS, SECOND_IDS, PairBatches
from tflm.errors import UserError
from trainers.terminal import Progress

PAIRS_OF_A_WORD = 8  # at most, on average, in a chunk
EVALUATION_PAIRS = 1 << 13
ENOUGH_PAIRS = 100


@dataclasses.dataclass
class LeastSquaresConfig:
    """
    Attributes:
        x_max: a count from which on pairs weigh 1.
        alpha: below it, a pair weighs (count / x_max)^alpha.
        validation_count: validation looks at pairs that count so much; at all, where not a hundred do.
    """

    x_max: float = 100.0
    alpha: float = 0.75
    validation_count: float = 5.0

    def __post_init__(self):
        check_ranges(self, alpha=(0, None), validation_count=(0, None))
        if not self.x_max > 0:
            raise UserError(f"`x_max` must be positive. Received: {self.x_max}.")


class LeastSquaresObjective:
    score_name = "loss"
    families = ("glove",)
    optimizer = "adagrad"

    def __init__(self, config: LeastSquaresConfig):
        self.config = config

    def batches(self, split, model, train):
        """Chunks of at most train.sequence_length pairs; a batch has as many as train.batch_size such chunks."""
        table = _table(split, model)
        largest = PAIRS_OF_A_WORD * table.num_pairs // model.config.vocabulary_size
        chunk_size = max(min(train.sequence_length, largest), 1)
        chunks = max(train.batch_size * train.sequence_length // chunk_size, 1)
        return PairBatches(table, chunk_size, chunks, train.seed)

    def slots(self, model) -> dict:
        """AdaGrad's sums, without the 1 that they begin with: beside it float32 would lose small squares."""
        return {name: np.zeros(table.shape, "float32") for name, table in model.tables().items()}

    def update(self, tables: dict, slots: dict, batch: dict, learning_rate):
        """Learns from a batch of `PairBatches`, chunk after chunk.

        The loss is glove.c's cost, of each chunk before it is learnt from: the mean of f(X) (...)^2 / 2 over pairs in
        both directions.
        """

        def learn(k, state):
            tables, squares, loss, count = state
            pairs = Pairs({name: value[k] for name, value in batch.items()}, self.config)
            rows = pairs.rows_of(tables)
            error = pairs.error(rows)
            slope = (learning_rate * pairs.weights * error)[:, None]  # (P, 1)
            learnt = [
                _adagrad(*side, slope)
                for side in zip(tables, squares, pairs.ids, rows[::-1], strict=True)
            ]
            tables, squares = zip(*learnt, strict=True)
            loss = loss + 0.5 * ops.sum(pairs.weights * ops.square(error))
            return tables, squares, loss, count + ops.sum(pairs.is_pair)

        state = (_sides(tables), _sides(slots), ops.zeros(()), ops.zeros(()))
        state = ops.fori_loop(0, batch[COUNTS].shape[0], learn, state)
        tables, slots, loss, count = state
        return loss / ops.maximum(count, 1.0), _named(tables), _named(slots)

    def evaluator(self, model, train, tokenizer):
        def sums(batch):
            pairs = Pairs(batch, self.config)
            error = pairs.error(pairs.rows_of(_sides(model.tables())))
            weighted = pairs.weights * error
            parts = ops.stack([pairs.is_pair, pairs.weights, weighted, weighted * error])
            frequent = ops.where(pairs.counts >= self.config.validation_count, parts, 0.0)
            return ops.sum(ops.stack([parts, frequent]), axis=-1)

        sums = compiled(model, sums)

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            table = _table(split, model)
            # The order of the table is as good as random: a part of it stands for a part of the text.
            share = min(1.0, max_tokens / len(split.tokens)) if max_tokens else 1.0
            num_pairs = max(round(table.num_pairs * share), 1)
            totals = np.zeros((2, 4))
            for start in range(0, num_pairs, EVALUATION_PAIRS):
                pairs = table.read(start, min(start + EVALUATION_PAIRS, num_pairs))
                pairs = np.pad(pairs, (0, EVALUATION_PAIRS - len(pairs)))
                names = {FIRST_IDS: "first", SECOND_IDS: "second", COUNTS: "count"}
                batch = {n: np.ascontiguousarray(pairs[field]) for n, field in names.items()}
                totals += ops.convert_to_numpy(sums(batch)).astype("float64")
                if progress is not None:
                    progress("evaluate", min(start + EVALUATION_PAIRS, num_pairs), num_pairs)
            used = totals[1] if totals[1, 0] >= ENOUGH_PAIRS else totals[0]
            return {
                "loss": _least_loss(used),
                "loss_of_all_pairs": _least_loss(totals[0]),
                "num_pairs": int(used[0]),
                "unknown_share": split.unknown_share,
            }

        return evaluate


class Pairs:
    """Pairs of words in both directions.

    Attributes:
        ids: i and j, both (P,) int32.
        counts, logs, weights: (P,), X_ij, log X_ij and f(X_ij).
        is_pair: (P,), 0 where a chunk is filled up; a word beside itself has one direction only.
    """

    def __init__(self, chunk: dict, config: LeastSquaresConfig):
        first, second, counts = chunk[FIRST_IDS], chunk[SECOND_IDS], chunk[COUNTS]
        self.ids = (ops.concatenate([first, second]), ops.concatenate([second, first]))
        counts = self.counts = ops.concatenate([counts, ops.where(first == second, 0.0, counts)])
        self.is_pair = ops.cast(counts > 0, "float32")
        self.logs = ops.log(ops.where(counts > 0, counts, 1.0))
        weights = ops.minimum(ops.power(counts / config.x_max, config.alpha), 1.0)
        self.weights = weights * self.is_pair

    def rows_of(self, tables):
        """The rows of w_i with b_i, and those of w~_j with b~_j: both (P, D + 1)."""
        return [ops.take(table, ids, axis=0) for table, ids in zip(tables, self.ids, strict=True)]

    def error(self, rows):
        """w_i . w~_j + b_i + b~_j - log X_ij: (P,)."""
        w, u = rows
        return ops.sum(w[:, :-1] * u[:, :-1], axis=-1) + w[:, -1] + u[:, -1] - self.logs


def _least_loss(sums) -> float:
    """The mean of f(X) (error + c)^2 / 2 for the best c, from the sums of 1, f(X), f(X) error and f(X) error^2."""
    count, weight, error, square = sums.tolist()
    return 0.5 * (square - error**2 / weight) / count


def _adagrad(table, squares, ids, other_rows, slope):
    """One side's table and sums of squares after the steps of all pairs.

    Args:
        other_rows: (P, D + 1), what each pair's row is multiplied by; its last entry stands for the 1 beside the bias.
    """
    ones = ops.ones_like(slope)
    steps = slope * ops.concatenate([other_rows[:, :-1], ones], axis=1)
    # Looked up after they are added to, and what the pair added taken off: a table that is read first, XLA copies.
    squares = add_rows(squares, ids, ops.square(steps))
    before = ops.take(squares, ids, axis=0) - ops.square(steps)
    return add_rows(table, ids, -steps * ops.rsqrt(1.0 + before)), squares


def _sides(tables: dict) -> tuple:
    return tables["input"], tables["output"]


def _named(sides) -> dict:
    return dict(zip(("input", "output"), sides, strict=True))


def _table(split, model) -> Cooccurrences:
    progress = Progress("items")
    config = model.config
    table = cooccurrences(split, config.vocabulary_size, config.window, progress=progress)
    progress.close()
    if not table.num_pairs:
        raise UserError(
            f"The {split.name} text must have two known words within {config.window} places of each other. "
            "Received: none. Give more text, or lower --config.tokenizer.min_count."
        )
    return table
