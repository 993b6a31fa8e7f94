"""What validation measures of a model that writes a target for a source.

The loss of every target under the model, over the whole split; and, of the first pairs, what the model writes by itself
(greedily), with BLEU and chrF or ROUGE of it. Neither is part of the training step.
"""

import dataclasses
import math

import numpy as np
from keras import ops

from tflm.backend import compiled
from tflm.data.features import LABELS, WEIGHTS
from tflm.generation.beam import BeamConfig
from tflm.generation.translate import Translator
from tflm.metrics.cross_entropy import scores
from trainers.attention_maps import attention_map, png
from trainers.samples import Translation

NUM_SAMPLES = 3


class PairEvaluation:
    """`evaluate(split)` of a Seq2SeqObjective that has read its tokenizers.

    Args:
        train: TrainConfig; without `sample_tokens` there are no samples.
    """

    def __init__(self, objective, model, train):
        from trainers.objectives.seq2seq import hidden_of_target

        self._objective, self._model, self._train = objective, model, train
        # A micro-batch is known to fit into the memory.
        rows = train.batch_size // train.accumulation
        self._sizes = dataclasses.replace(train, batch_size=rows)

        def nats(batch):
            hidden = hidden_of_target(model, batch, training=False)
            is_target = ops.cast(batch[WEIGHTS] > 0, "float32")
            return ops.sum(scores(model, hidden, batch[LABELS]) * is_target, axis=1)

        self._nats = compiled(model, nats)
        self._translator = Translator(
            model,
            objective.tokenizer,
            objective.source_tokenizer,
            prompt_format=objective.prompt_format(model),
            truncate=True,
        )
        self._pairs = []  # of the last validation: source ids, reference, translation

    def __call__(self, split, max_tokens: int = 0, progress=None) -> dict:
        """
        Args:
            split: ParallelSplit.
            max_tokens: score the first batches with so many tokens of targets; 0 for all.

        Returns:
            nats_per_token and perplexity_per_token of the targets, EOS among their tokens; num_tokens, num_pairs;
            and of the first pairs bleu and chrf, or rouge1, rouge2 and rouge_l, with signatures.
        """
        batches = self._objective.batches(split, self._model, self._sizes, once=True)
        total, num_tokens, num_pairs = 0.0, 0, 0
        for step in range(batches.num_batches):
            batch = batches.batch(step)
            nats = np.array(ops.convert_to_numpy(self._nats(batch)), np.float64)
            total += float(nats.sum())
            num_tokens += int((batch[WEIGHTS] > 0).sum())
            num_pairs += int((batch[WEIGHTS] > 0).any(axis=1).sum())
            if progress is not None:
                progress("evaluate", step + 1, batches.num_batches)
            if max_tokens and num_tokens >= max_tokens:
                break
        per_token = total / num_tokens
        return {
            "nats_per_token": per_token,
            "perplexity_per_token": math.exp(min(per_token, 700.0)),
            "num_tokens": num_tokens,
            "num_pairs": num_pairs,
            **self._scores(split),
        }

    def _scores(self, split) -> dict:
        config, tokenizer = self._objective.config, self._objective.tokenizer
        number = min(config.metric_pairs, split.num_pairs)
        if not number:
            return {}
        source_ids = [[int(i) for i in split.source(row)] for row in range(number)]
        # What the tokenizer loses of a reference is lost here; `trainers.evaluate` reads the texts themselves.
        references = [tokenizer.decode(split.target(row)) for row in range(number)]
        search = BeamConfig(beam_size=1, length_penalty=0.0, max_length=config.max_target_tokens)
        sources = [self._objective.source_tokenizer.decode(ids) for ids in source_ids]
        hypotheses = self._translator.translate(sources, search)
        self._pairs = list(zip(source_ids, sources, references, hypotheses, strict=True))
        return config.scores(hypotheses, references)

    def samples(self) -> list[Translation]:
        """The first pairs of the last validation, with maps of where the model looked."""
        if not self._train.sample_tokens:
            return []
        found = []
        for number, pair in enumerate(self._pairs[:NUM_SAMPLES], 1):
            source_ids, source, reference, hypothesis = pair
            tokenizer = self._objective.tokenizer
            looked = attention_map(
                self._model,
                tokenizer,
                self._objective.source_tokenizer,
                source_ids,
                tokenizer.encode(hypothesis),
            )
            image = None if looked is None else png(looked)
            found.append(Translation(number, source, reference, hypothesis, image))
        return found
