"""What is known of a source of batches before the training: its shapes."""

import numpy as np

from trainers import feed


class Source:
    """Batches of 2, 3 or 5 columns."""

    widths = [3, 2, 2, 5, 2, 3]
    shapes = [(1, 2), (1, 3), (1, 5)]

    def batch(self, step: int) -> dict:
        return {"x": np.full((1, self.widths[step % 6]), step)}


class Uniform:
    def batch(self, step: int) -> dict:
        return {"x": np.full((1, 4), step)}


def test_a_step_for_each_shape_the_commonest_first():
    assert feed.shapes_vary(Source())
    assert feed.typical_steps(Source(), among=6) == [1, 0, 3]
    assert not feed.shapes_vary(Uniform())
    assert feed.typical_steps(Uniform()) == [0]


def test_batches_come_as_they_are_whatever_their_shapes():
    found = [batch["x"].numpy() for batch in feed.dataset(Source(), 2, 6)]
    assert [value.shape for value in found] == [(1, 2), (1, 5), (1, 2), (1, 3)]
    assert [int(value[0, 0]) for value in found] == [2, 3, 4, 5]


def test_another_order():
    again = feed.Reordered(Source(), [4, 0])
    assert [int(again.batch(i)["x"][0, 0]) for i in range(2)] == [4, 0]
    assert feed.shapes_vary(again)
    assert not feed.shapes_vary(feed.Reordered(Uniform(), [1]))
