"""What each argument is for."""

import pytest
import torch
from torch.nn import functional as F

from poise.card.arguments import roles
from poise.errors import InspectError
from tests.card.subjects import labels, normal


def test_regression() -> None:
    """The argument of the same shape is the target; the last axis has the features."""
    found = roles(F.mse_loss, (normal(4, 3), normal(4, 3)))
    assert (found.target, found.labels, found.batch, found.length, found.classes) == (
        *(1, False, 0, None, 1),
    )


def test_sequence_labels() -> None:
    """Labels of (batch, time) leave the class axis of (batch, classes, time)."""
    found = roles(F.cross_entropy, (normal(4, 5, 6), labels(4, 6)))
    assert (found.labels, found.classes, found.length) == (True, 1, 2)


def test_masks_and_columns() -> None:
    """A Boolean tensor is a mask; a target may have an axis of size 1 too many."""

    def loss(prediction: object, goal: object, keep: object) -> None:
        pass

    found = roles(loss, (normal(6), normal(6, 1), torch.ones(6, dtype=torch.bool)))
    assert (found.target, found.mask) == (1, 2)
    assert roles(loss, (normal(6), normal(6), torch.ones(6))).mask == 2


def test_told_by_name() -> None:
    """Options win over guesses and name what there is when they are wrong."""
    example = (normal(4, 3), normal(4, 3), normal(4, 3))
    assert roles(F.triplet_margin_loss, example, target="negative").target == 2
    with pytest.raises(InspectError, match="target='goal' names no argument"):
        roles(F.triplet_margin_loss, example, target="goal")
    with pytest.raises(InspectError, match="batch=2 is no axis of the prediction"):
        roles(F.triplet_margin_loss, example, batch=2)


def test_the_prediction_comes_first() -> None:
    """Anything but a floating tensor there is refused."""
    with pytest.raises(InspectError, match="must start with the prediction"):
        roles(F.cross_entropy, (labels(4), normal(4, 3)))
