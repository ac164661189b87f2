"""The pointer term."""

import pytest
import torch

import poise
from poise.errors import LossError
from poise.losses.multitask import pointer_loss, pointer_target

DRAW = torch.Generator().manual_seed(0)
PREDICTION, TARGET = torch.rand(8, 2, generator=DRAW), torch.rand(8, 2, generator=DRAW)


def test_target() -> None:
    """Centre and length, as fractions of the window."""
    found = pointer_target(torch.tensor([21.0, 0.0]), torch.tensor([42.0, 0.0]), 105)
    assert torch.allclose(found, torch.tensor([[0.3, 0.2], [0.0, 0.0]]))


def test_mean_and_count() -> None:
    """The mean over both pointers of all windows, with delta 0.08."""
    error = (PREDICTION - TARGET).abs()
    each = torch.where(error <= 0.08, 0.5 * error**2, 0.08 * (error - 0.04))
    found = pointer_loss(PREDICTION, TARGET)
    assert found.value.item() == pytest.approx(each.mean().item(), rel=1e-5)
    assert (int(found.count), found.reduction) == (16, "element")


def test_a_small_value_is_a_matter_of_its_unit() -> None:
    """The same error in bars costs some thousand times as much, and is the same error."""
    far = PREDICTION + 8 / 105
    assert pointer_loss(far, PREDICTION).value.item() == pytest.approx(0.5 * (8 / 105) ** 2)
    assert pointer_loss(105 * far, 105 * PREDICTION, delta=8.4).value.item() == pytest.approx(32.0)


def test_card() -> None:
    """One note: the gradient stops growing at an error of delta."""
    card = poise.inspect(pointer_loss, (PREDICTION, TARGET))
    assert card.clean
    assert {one.rule for one in card.findings} == {"inspect-linear"}


def test_another_shape_is_refused() -> None:
    """One pair of pointers would be compared with those of every window."""
    with pytest.raises(LossError, match="pointer_loss: expected 'target' to have the shape"):
        pointer_loss(PREDICTION, TARGET[:1])
