"""A linear-chain conditional random field: the tags of a sequence are scored together.

Lafferty et al. 2001, "Conditional Random Fields: Probabilistic Models for Segmenting and Labeling Sequence Data";
Lample et al. 2016, "Neural Architectures for Named Entity Recognition", section 2.2. A sequence y of n labels has the
score

    first[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_t, y_(t+1)] + last[y_n]

and a probability in proportion to its exponential. What normalises it is computed by the forward algorithm, the best
sequence by Viterbi's. Everything is float32.

Shapes: B batch, W words, L labels. A mask (B, W) bool is True for the words of a row, which come first; a row without
any has the log-likelihood 0.
"""

import keras
from keras import ops

from tflm import backend


class CRF(keras.layers.Layer):
    """
    Args:
        num_labels: L.
    """

    def __init__(self, num_labels: int, name="crf"):
        super().__init__(name=name)
        self.num_labels = num_labels

    def build(self, shape):
        size = self.num_labels
        self.transitions = self.add_weight(shape=(size, size), name="transitions")
        self.first = self.add_weight(shape=(size,), name="first_bias")
        self.last = self.add_weight(shape=(size,), name="last_bias")

    def log_likelihood(self, emissions, labels, mask):
        """
        Args:
            emissions: (B, W, L). labels: (B, W) int32; whatever stands outside of the mask. mask: (B, W) bool.

        Returns:
            (B,): the logarithm of the probability of each row's labels.
        """
        score = self._score(emissions, labels, mask)
        has_words = ops.cast(mask[:, 0], emissions.dtype)
        return (score - self._log_partition(emissions, mask)) * has_words

    def decode(self, emissions, mask):
        """The labels of the highest score: (B, W, L), (B, W) bool -> (B, W) int32, 0 outside of the mask."""
        _, transitions, last = self._weights()

        def step(state, inputs):
            (best,), (emission, goes_on) = state, inputs
            ways = best[:, :, None] + transitions
            reached = ops.where(goes_on[:, None], ops.max(ways, axis=1) + emission, best)
            before = ops.where(goes_on[:, None], ops.argmax(ways, axis=1), self._every_label())
            return (reached,), (ops.cast(before, "int32"),)

        (best,), (before,) = backend.scan(step, (self._begin(emissions),), _later(emissions, mask))

        def step_back(state, inputs):
            (label,), (before,) = state, inputs
            label = ops.take_along_axis(before, label[:, None], axis=1)[:, 0]
            return (label,), (label,)

        end = ops.cast(ops.argmax(best + last, axis=-1), "int32")
        _, (labels,) = backend.scan(step_back, (end,), (before,), reverse=True)
        return ops.transpose(labels) * ops.cast(mask, "int32")

    def _weights(self):
        weights = (self.first, self.transitions, self.last)
        return tuple(ops.convert_to_tensor(weight, "float32") for weight in weights)

    def _every_label(self):
        return ops.arange(self.num_labels, dtype="int32")[None, :]

    def _begin(self, emissions):
        return emissions[:, 0] + self._weights()[0]

    def _score(self, emissions, labels, mask):
        """(B,)."""
        first, transitions, last = self._weights()
        mask = ops.cast(mask, emissions.dtype)
        chosen = ops.one_hot(labels, self.num_labels, dtype=emissions.dtype) * mask[..., None]
        is_end = mask - ops.pad(mask[:, 1:], ((0, 0), (0, 1)))
        per_word = emissions + last * is_end[..., None]
        following = ops.pad(chosen[:, 1:], ((0, 0), (0, 1), (0, 0)))
        per_word = per_word + ops.matmul(following, ops.transpose(transitions))
        return ops.sum(per_word * chosen, axis=(1, 2)) + ops.sum(chosen[:, 0] * first, axis=-1)

    def _log_partition(self, emissions, mask):
        """(B,): the logarithm of the sum over all sequences, by the forward algorithm."""
        _, transitions, last = self._weights()

        def step(state, inputs):
            (forward,), (emission, goes_on) = state, inputs
            reached = ops.logsumexp(forward[:, :, None] + transitions, axis=1) + emission
            return (ops.where(goes_on[:, None], reached, forward),), ()

        (forward,), _ = backend.scan(step, (self._begin(emissions),), _later(emissions, mask))
        return ops.logsumexp(forward + last, axis=-1)


def _later(emissions, mask):
    """What a loop over the words from the second one reads: (W, B, L) and (W, B), with one word that does not count at
    the end, so that the loop is as long for one word as for any."""
    emissions = ops.pad(emissions[:, 1:], ((0, 0), (0, 1), (0, 0)))
    mask = ops.pad(ops.cast(mask[:, 1:], "int32"), ((0, 0), (0, 1))) > 0
    return ops.transpose(emissions, (1, 0, 2)), ops.transpose(mask)
