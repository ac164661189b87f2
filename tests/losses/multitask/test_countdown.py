"""The countdown term: what its mean is over, what its gradient does, and its card."""

import pytest
import torch

import poise
from poise.errors import LossError
from poise.losses.multitask import countdown_loss, countdown_target

START = torch.tensor([10.0, 40.0, 70.0, 100.0])
TARGET = countdown_target(START, 105)
PREDICTION = 8.0 * torch.randn(4, 105, generator=torch.Generator().manual_seed(0))


def test_target() -> None:
    """Counts down to the start, on through it, and is cut off at the reach."""
    assert TARGET.shape == (4, 105)
    assert TARGET[1, 38:43].tolist() == [2.0, 1.0, 0.0, -1.0, -2.0]
    assert (TARGET.min(), TARGET.max()) == (-20.0, 20.0)
    assert countdown_target(START, 105, reach=5.0).abs().max() == 5.0


def test_mean_and_count() -> None:
    """The mean of the Huber loss by hand, over all steps or those of a mask, with their number."""
    error = (PREDICTION - TARGET).abs()
    each = torch.where(error <= 1, 0.5 * error**2, error - 0.5)
    whole = countdown_loss(PREDICTION, TARGET)
    assert whole.value.item() == pytest.approx(each.mean().item(), rel=1e-5)
    assert (int(whole.count), whole.reduction) == (420, "element")
    mask = TARGET.abs() < 20
    part = countdown_loss(PREDICTION, TARGET, mask)
    assert part.value.item() == pytest.approx(each[mask].mean().item(), rel=1e-5)
    assert int(part.count) == int(mask.sum())


def test_its_gradient_does_not_grow_with_its_value() -> None:
    """Targets ten times as far cost ten times as much and send the same gradient."""
    gradients, values = [], []
    for far in (20.0, 200.0):
        prediction = torch.zeros(1, 105, requires_grad=True)
        loss = countdown_loss(prediction, torch.full((1, 105), far)).value
        loss.backward()
        gradients.append(prediction.grad)
        values.append(loss.item())
    assert values == pytest.approx([19.5, 199.5])
    assert torch.equal(*gradients)


def test_card() -> None:
    """One note: from an error of 1 step on the gradient no longer grows, as its docstring says."""
    card = poise.inspect(countdown_loss, (PREDICTION, TARGET), length=1)
    assert card.clean
    assert {one.rule for one in card.findings} == {"inspect-linear"}
    assert card.fact("reduction") == "mean"


def test_masked_card() -> None:
    """Masked steps neither count nor leak."""
    mask = torch.arange(105) < torch.tensor([[105], [80], [60], [90]])
    card = poise.inspect(countdown_loss, (PREDICTION, TARGET, mask))
    assert card.clean
    assert {one.rule for one in card.findings} == {"inspect-linear"}


def test_another_shape_is_refused() -> None:
    """One target for each window would be compared with all of its steps."""
    with pytest.raises(LossError, match="countdown_loss: expected 'target' to have the shape"):
        countdown_loss(PREDICTION, TARGET[:, :1])
