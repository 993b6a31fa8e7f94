"""Several models that speak with one voice: the mean of what they hold probable.

The mean is taken of probabilities at every step, as is usual for ensembles in translation (Sutskever et al. 2014). The
models may be of different families; they share the tokenizers, so that a token means the same to all of them.

Shapes: B batch, T time, V vocabulary.
"""

import math

from keras import ops

from tflm.errors import UserError


class Ensemble:
    """What decoding needs of a model, by several of them.

    Args:
        models: language models, or encoder-decoders, of one vocabulary.
    """

    def __init__(self, models):
        self.models = list(models)
        if not self.models:
            raise UserError("An ensemble needs at least one model. Received: none.")
        sizes = [model.config.vocabulary_size for model in self.models]
        if len(set(sizes)) > 1:
            raise UserError(
                "The models of an ensemble must have one vocabulary. "
                f"Received: vocabularies of {', '.join(map(str, sizes))} tokens."
            )
        self.config = self.models[0].config
        self.max_sequence_length = _least(model.max_sequence_length for model in self.models)
        self.max_source_length = _least(
            getattr(model, "max_source_length", None) for model in self.models
        )

    @property
    def variables(self) -> list:
        return [variable for model in self.models for variable in model.variables]

    def initial_state(self, *arguments) -> dict:
        """The states of all; `arguments` are those of each model's own. A name ends in the model's number."""
        return {
            f"{name}/{i}": value
            for i, model in enumerate(self.models)
            for name, value in model.initial_state(*arguments).items()
        }

    def step(self, token_ids, state, position):
        """As of a LanguageModel; the logits (B, T, V) are logarithms of mean probabilities."""
        after, voices = {}, []
        for i, model in enumerate(self.models):
            end = f"/{i}"
            own = {n.removesuffix(end): value for n, value in state.items() if n.endswith(end)}
            logits, own = model.step(token_ids, own, position)
            voices.append(ops.log_softmax(logits, axis=-1))
            after |= {f"{name}{end}": value for name, value in own.items()}
        together = ops.logsumexp(ops.stack(voices), axis=0)
        return together - math.log(len(voices)), after


def _least(limits):
    """The smallest of those limits that are some."""
    return min((limit for limit in limits if limit is not None), default=None)
