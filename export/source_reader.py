"""How the model of a run reads a source, and full passes of it over targets: the Keras side of a proof.

Shapes: B batch, S source time, T target time, R prompt and target, V vocabulary.
"""

import functools

import numpy as np
import tensorflow as tf

from export import run_kind
from export.greedy_reference import logits_at
from tflm.data.prompted_batches import Prompt


def reader_of(run):
    """An EncodedSource or a PromptedSource."""
    return (EncodedSource if run_kind.has_encoder(run.experiment) else PromptedSource)(run)


class _Source:
    """What both share: ids that stand before and behind those of the text.

    Attributes:
        has_encoder: whether the source is apart from the target.
        prompt_format: None where it is.
    """

    has_encoder = True
    prompt_format = None

    def __init__(self, run):
        self.run = run

    def ids(self, text: str) -> list[int]:
        """What the model reads of a source."""
        before, behind = self._around()
        return [*before, *self.run.source_tokenizer.encode(text), *behind]

    def ids_in_graph(self, twin, text):
        """The same of (N,) tf.string: ragged int32; and how many of them are the text's, (N,) int32.

        Args:
            twin: of the source's tokenizer.
        """
        ids = tf.cast(twin.tokenize(text), tf.int32)
        count = tf.shape(text)[0]
        before, behind = (
            tf.RaggedTensor.from_tensor(tf.repeat(tf.constant([row], tf.int32), count, axis=0))
            for row in self._around()
        )
        return tf.concat([before, ids, behind], axis=1), tf.cast(ids.row_lengths(), tf.int32)

    def translator(self):
        """The beam search of `tflm.generation` with the Keras model."""
        from tflm.generation.translate import Translator

        run = self.run
        return Translator(run.model, run.tokenizer, run.source_tokenizer, self.prompt_format)


class EncodedSource(_Source):
    """Of an encoder-decoder: `ids..., eos` goes through the encoder, the target begins with BOS."""

    def _around(self):
        return [], [self.run.tokenizer.eos_id]

    def full_passes(self, sources: list[list[int]]):
        """Of B sources: the function for `greedy_reference.continue_greedily`, and its prompts."""
        encode, of_targets = self._compiled
        encoded = encode(padded(sources))
        prompts = [[self.run.tokenizer.bos_id] for _ in sources]
        return functools.partial(of_targets, encoded), prompts

    def logits_of(self, source: list[int], target: list[int]) -> np.ndarray:
        """(T, V): the logits of every token of the target."""
        token_ids = padded([[self.run.tokenizer.bos_id, *target[:-1]]])
        return self.run.model(token_ids, padded([source]), training=False)[0].numpy()

    @functools.cached_property
    def _compiled(self):
        model = self.run.model

        def of_targets(encoded, rows, places):
            hidden, _ = model.hidden(rows, encoded, training=False)
            return model.logits(tf.gather(hidden, places, batch_dims=1))

        def encode(source_ids):
            return model.encode(source_ids, training=False)

        return tuple(
            tf.function(function, autograph=False, reduce_retracing=True)
            for function in (encode, of_targets)
        )


class PromptedSource(_Source):
    """Of a decoder: the source stands in a prompt, and the target goes on from there."""

    has_encoder = False

    def __init__(self, run):
        super().__init__(run)
        self.prompt_format = run.experiment["objective"]["prompt_format"]
        self._prompt = Prompt(self.prompt_format, run.tokenizer)

    def _around(self):
        return self._prompt.before.tolist(), self._prompt.behind.tolist()

    def full_passes(self, sources: list[list[int]]):
        """As of EncodedSource."""
        return self._compiled, sources

    def logits_of(self, source: list[int], target: list[int]) -> np.ndarray:
        """As of EncodedSource."""
        logits = self.run.model(padded([[*source, *target[:-1]]]), training=False)
        return logits[0, len(source) - 1 :].numpy()

    @functools.cached_property
    def _compiled(self):
        return logits_at(self.run.model)


def padded(rows: list[list[int]]) -> np.ndarray:
    """(B, longest) int32, with 0 behind the shorter rows."""
    array = np.zeros((len(rows), max(map(len, rows))), "int32")
    for row, ids in zip(array, rows, strict=True):
        row[: len(ids)] = ids
    return array
