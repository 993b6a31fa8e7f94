"""The loss over a part of the vocabulary: exact where all is summed, unbiased in the denominator, its gradient."""

import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tests.metrics.test_cross_entropy import numpy_losses
from tflm.metrics.sampled_cross_entropy import loss, num_strata

SIZE = zoo.VOCABULARY_SIZE
BATCH, TIME = 3, 7


@pytest.fixture(scope="module", params=["lstm", "gpt_rotary"])  # with a bias and without
def model(request):
    return zoo.build(request.param)


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(0)
    ids, labels = random.integers(4, SIZE, (2, BATCH, TIME)).astype("int32")
    weights = random.uniform(0, 2 / (BATCH * TIME), (BATCH, TIME)).astype("float32")
    return ids, labels, weights


def test_strata_cover_the_tail():
    assert num_strata(33_278, 4096, 2048) == -(
        -(33_278 - 4096) // 15
    )  # 14.2 words a stratum at least
    assert num_strata(260, 100, 160) == 160
    assert num_strata(260, 100, 1000) == 160


@pytest.mark.parametrize("head", [4, 100, SIZE - 1])
def test_a_sample_of_all_words_is_the_whole_softmax(model, batch, head):
    ids, labels, weights = batch
    hidden, _ = model.hidden(ids)
    strata = num_strata(SIZE, head, SIZE)
    assert strata == SIZE - head
    got = loss(model, hidden, labels, weights, head, np.full(strata, 0.3, "float32"))
    want = (numpy_losses(np.array(model(ids)), labels) * weights).sum()
    assert float(got) == pytest.approx(want, rel=1e-5)


def test_the_gradient_of_a_sample_of_all_words_is_that_of_the_whole_softmax(model, batch):
    ids, labels, weights = batch

    def gradients(of_logits):
        with tf.GradientTape() as tape:
            hidden, _ = model.hidden(ids)
            total = of_logits(hidden)
        values = tape.gradient(total, model.trainable_variables)
        return [tf.convert_to_tensor(value).numpy() for value in values]

    def keras_loss(hidden):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model.logits(hidden))
        return tf.reduce_sum(losses * weights)

    numbers = np.full(SIZE - 50, 0.7, "float32")
    ours = gradients(lambda hidden: loss(model, hidden, labels, weights, 50, numbers))
    for got, want in zip(ours, gradients(keras_loss), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-6)


def test_one_draw_by_hand(model, batch):
    """Z of the head, of the drawn words times their strata's widths, and of the label, once."""
    ids, labels, _ = batch
    hidden, _ = model.hidden(ids)
    head, strata = 30, num_strata(SIZE, 30, 40)
    width = 6  # 230 words in 40 strata are 5.75
    assert strata == 39
    numbers = np.random.default_rng(1).uniform(size=strata).astype("float32")
    logits = np.array(model(ids)).astype("float64")
    drawn, counts = [], []
    for k in range(strata):
        words = range(head + k * width, min(head + (k + 1) * width, SIZE))
        drawn.append(words[int(numbers[k] * len(words))])
        counts.append(len(words))
    assert counts[-1] == 2
    want = np.zeros((BATCH, TIME))
    hits = 0
    for place in np.ndindex(BATCH, TIME):
        row, label = np.exp(logits[place]), labels[place]
        z = row[:head].sum() + (row[label] if label >= head else 0)
        z += sum(n * row[word] for word, n in zip(drawn, counts, strict=True) if word != label)
        hits += label in drawn
        want[place] = np.log(z / row[label])
    assert hits  # a label that is drawn, too, counts once
    for place in np.ndindex(BATCH, TIME):
        only = np.zeros((BATCH, TIME), "float32")
        only[place] = 1
        got = float(loss(model, hidden, labels, only, head, numbers))
        assert got == pytest.approx(want[place], rel=1e-4, abs=1e-4)


def test_the_denominator_is_unbiased(batch):
    model = zoo.build("lstm")
    ids, labels, _ = batch
    hidden, _ = model.hidden(ids)
    logits = np.array(model(ids)).astype("float64")
    place, head, strata = (1, 3), 20, num_strata(SIZE, 20, 60)
    only = np.zeros((BATCH, TIME), "float32")
    only[place] = 1
    random = np.random.default_rng(2)
    estimate = tf.function(lambda numbers: loss(model, hidden, labels, only, head, numbers))
    shares = []
    for _ in range(3000):
        numbers = random.uniform(size=strata).astype("float32")
        shares.append(np.exp(float(estimate(numbers))))
    label = logits[place][labels[place]]
    want = np.exp(logits[place] - label).sum()
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(want, abs=4 * error)
    assert error < 0.02 * want
