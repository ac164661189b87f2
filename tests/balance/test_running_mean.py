"""Tests for poise.balance.running_mean."""

import pytest
import torch
from torch import Tensor

from poise.balance.running_mean import RunningMean, RunningMeanRule
from poise.errors import BalanceError, PoiseWarning


def given(*numbers: float) -> Tensor:
    """Values with a graph."""
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


def test_it_warns_of_itself() -> None:
    """Whoever makes one is told what to take instead."""
    with pytest.warns(PoiseWarning, match="makes values equal, not gradients.*GradientShare"):
        RunningMean({"a": 1.0})


def test_the_mean_is_corrected() -> None:
    """Against the weighted mean by hand, from the first step on."""
    rule = RunningMeanRule({"a": 2.0}, decay=0.9)
    values = [4.0, 1.0, 7.0, 3.0]
    for now, value in enumerate(values):
        weights = [0.9 ** (now - k) for k in range(now + 1)]
        mean = sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights)
        assert rule(given(value), ("a",)).item() == pytest.approx(2.0 * value / mean)


def test_a_huber_loss_far_from_its_target_starves() -> None:
    """A value of 16 with a slope of 1 is left a sixteenth of it: the fault that it warns of."""
    rule = RunningMeanRule({"far": 1.0, "near": 1.0})
    values = given(16.0, 0.01)
    rule(values, ("far", "near")).backward()
    assert values.grad is not None
    assert values.grad.tolist() == pytest.approx([1 / 16, 100.0])


def test_an_evaluation_is_not_remembered() -> None:
    """Values without a graph are divided by the mean so far."""
    rule = RunningMeanRule({"a": 1.0})
    rule(given(2.0), ("a",))
    assert rule(torch.tensor([6.0]), ("a",)).item() == 3.0
    assert rule.counts.tolist() == [1]


@pytest.mark.parametrize(
    ("weights", "options", "told"),
    [
        ({"a": float("nan")}, {}, "the weight of 'a' to be a finite number, got nan"),
        ({"a": 1.0}, {"decay": 1.0}, r"decay to be a finite number in \[0, 1\), got 1.0"),
        ({"a": 1.0}, {"floor": 0.0}, "floor to be a finite number above 0, got 0.0"),
    ],
)
def test_options_are_checked(
    weights: dict[str, float], options: dict[str, float], told: str
) -> None:
    """Before the training."""
    with pytest.raises(BalanceError, match=f"RunningMean: expected {told}; pass such a number"):
        RunningMeanRule(weights, **options)
