"""What skip-gram and CBOW share: batches of chunks, the loop over them, and the loss of the validation text.

Mikolov et al. 2013b, equation 4: a pair that stands in the text against `negatives` that were drawn. Here the words
of a block of 32 share `shared_negatives` of them, each weighted so that a pair meets `negatives` on average: the
expected gradient is the same, and it becomes a matrix product. Equal negatives are not left out where they are the
context.

Shapes: N words a chunk, L words a block, n = N / L blocks, w window, F = L + 2w the frame of a block, K negatives, D
hidden.
"""

import dataclasses

from keras import ops

from tflm.backend import compiled
from tflm.config import check_ranges
from tflm.data.word_chunks import NUM_CHUNKS, WordChunks
from tflm.models.initialization import small_uniform, zeros

EVALUATION_SEED = 0


@dataclasses.dataclass
class NegativeSamplingConfig:
    """
    Attributes:
        negatives: that a pair of the text meets, on average.
        shared_negatives: drawn for a block of 32 words.
        power: of the unigram distribution they are drawn from.
        subsample: words more frequent than this share of the text are skipped at random; 0 for none.
    """

    negatives: int = 5
    shared_negatives: int = 32
    power: float = 0.75
    subsample: float = 1e-3

    def __post_init__(self):
        check_ranges(
            self,
            negatives=(1, None),
            shared_negatives=(1, None),
            power=(0, None),
            subsample=(0, None),
        )


class NegativeSamplingObjective:
    """Everything but the arithmetic of a chunk, which a subclass has:

    meet(tables, chunk) -> an object with
        loss(num_blocks=None)  -> the sum of -log sigmoid over pairs and negatives, and the number of pairs
        learn(learning_rate)   -> the two tables after one step of gradient descent on that sum
    """

    score_name = "loss"
    families = ("word2vec", "fasttext")
    optimizer = "sgd"
    initializers = {"embeddings": small_uniform, "output_embedding": zeros}  # word2vec.c's

    def __init__(self, config: NegativeSamplingConfig):
        self.config = config

    def batches(self, split, model, train):
        return self._chunks(split, model, train, train.seed)

    def _chunks(self, split, model, train, seed: int) -> WordChunks:
        return WordChunks(
            split,
            model.config.vocabulary_size,
            model.config.window,
            min(train.sequence_length, len(split.tokens) - 1),
            train.batch_size,
            seed,
            self.config.subsample,
            self.config.power,
            self.config.shared_negatives,
            train.learning_rate,
            model.bags,
        )

    def slots(self, model) -> dict:
        return {}

    def update(self, tables: dict, slots: dict, batch: dict, learning_rate):
        """Learns from a batch, chunk after chunk.

        The loss is that of the first block of each chunk, before it is learnt from: all blocks would take a tenth of
        the time, and one look at the tables before the loop would make XLA copy them.
        """

        def body(i, state):
            table, output, loss, pairs = state
            meetings = self.meet({"input": table, "output": output}, chunk_of(batch, i))
            block_loss, block_pairs = meetings.loss(num_blocks=1)
            learnt = meetings.learn(learning_rate)
            return *learnt, loss + block_loss, pairs + block_pairs

        state = (tables["input"], tables["output"], ops.zeros(()), ops.zeros(()))
        table, output, loss, pairs = ops.fori_loop(0, batch[NUM_CHUNKS][0], body, state)
        return loss / ops.maximum(pairs, 1.0), {"input": table, "output": output}, slots

    def evaluator(self, model, train, tokenizer):
        def sums(batch):
            tables = {n: ops.convert_to_tensor(v) for n, v in model.tables().items()}

            def body(i, totals):
                loss, pairs = self.meet(tables, chunk_of(batch, i)).loss()
                return totals[0] + loss, totals[1] + pairs

            return ops.fori_loop(0, batch[NUM_CHUNKS][0], body, (ops.zeros(()), ops.zeros(())))

        sums = compiled(model, sums)

        def evaluate(split, max_tokens: int = 0, progress=None) -> dict:
            chunks = self._chunks(split, model, train, EVALUATION_SEED)
            tokens = min(max_tokens or len(split.tokens), len(split.tokens))
            num_batches = -(-tokens // chunks.tokens_per_step)
            total, count = 0.0, 0.0
            for step in range(num_batches):
                batch = {n: ops.convert_to_tensor(v) for n, v in chunks.batch(step).items()}
                loss, pairs = sums(batch)
                total, count = total + float(loss), count + float(pairs)
                if progress is not None:
                    progress("evaluate", step + 1, num_batches)
            return {"loss": total / max(count, 1.0), "num_pairs": int(count)}

        return evaluate


def chunk_of(batch: dict, i) -> dict:
    """Chunk `i` of a batch."""
    return {name: value[i] for name, value in batch.items() if name != NUM_CHUNKS}
