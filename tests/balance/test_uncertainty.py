"""Tests for poise.balance.uncertainty."""

import math

import pytest
import torch
from torch import Tensor

from poise.balance.uncertainty import Uncertainty
from poise.errors import BalanceError


def given(*numbers: float) -> dict[str, Tensor]:
    """Terms of these values, with a graph."""
    leaf = torch.tensor(numbers, requires_grad=True)
    return dict(zip(("a", "b"), leaf.unbind(), strict=True))


def trained(values: tuple[float, float], steps: int, **options: object) -> tuple[float, float]:
    """The logarithms of the variances after some steps."""
    balancer = Uncertainty(("a", "b"), **options)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        balancer.total(given(*values)).backward()
        optimizer.step()
    balancer.total(given(*values))
    first, second = balancer.rule.log_variance.tolist()
    return first, second


def test_a_variance_becomes_its_value() -> None:
    """Its optimum is the logarithm of the value."""
    assert trained((0.5, 3.0), 400) == pytest.approx((math.log(0.5), math.log(3.0)), abs=1e-3)


def test_the_total_can_be_negative() -> None:
    """With a small variance the logarithm outweighs the value, and that is no error."""
    balancer = Uncertainty(("a", "b"), start=-4.0)
    assert balancer.total(given(0.001, 0.001)).item() < -3.9


def test_a_value_of_zero_meets_the_limit() -> None:
    """And the variance can come back from there."""
    balancer = Uncertainty(("a", "b"), limits=(-2.0, 2.0))
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.5)
    for value in [0.0] * 40 + [50.0] * 5:
        optimizer.zero_grad()
        balancer.total(given(value, 1.0)).backward()
        optimizer.step()
        if value == 0.0:
            balancer.total(given(value, 1.0))
            assert balancer.rule.log_variance[0].item() >= -2.0
    assert balancer.rule.log_variance[0].item() > 0.0


def test_the_start_is_within_the_limits() -> None:
    """Otherwise it is refused."""
    with pytest.raises(BalanceError, match=r"start to be .* within its limits -1 to 1, got 3"):
        Uncertainty(("a",), start=3.0, limits=(-1, 1))
