"""Repeating the example along an axis."""

import torch
from torch.nn import functional as F

from poise.card.resize import axis_in, repeated
from tests.card.subjects import labels, normal, of


def test_labels_lack_the_class_axis() -> None:
    """Logits (4, 3, 6) with labels (4, 6): axes 0 and 2 run along, axis 1 does not."""
    one = of(F.cross_entropy, normal(4, 3, 6), labels(4, 6))
    assert [axis_in(one, 1, axis) for axis in range(3)] == [0, None, 1]
    logits, given = repeated(one, 2, 3)
    assert logits.shape == (4, 3, 18)  # type: ignore[attr-defined]
    assert given.shape == (4, 18)  # type: ignore[attr-defined]


def test_per_sample_and_per_feature_arguments() -> None:
    """(B,) follows the batch, (D,) the features."""
    one = of(lambda p, w, v: (p * w[:, None] * v).mean(), normal(4, 3), normal(4), normal(3))
    assert [axis_in(one, 1, axis) for axis in range(2)] == [0, None]
    assert [axis_in(one, 2, axis) for axis in range(2)] == [None, 0]


def test_distributions_stay_distributions() -> None:
    """Spread over more classes, a target still sums to 1."""
    target = normal(4, 3).softmax(1)
    one = of(F.cross_entropy, normal(4, 3), target)
    _, longer = repeated(one, 1, 4)
    assert torch.allclose(longer.sum(1), torch.ones(4, dtype=torch.float64))  # type: ignore[attr-defined]
