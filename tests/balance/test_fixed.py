"""Weights that never change."""

import math

import pytest
import torch

from poise.balance import Fixed
from poise.errors import BalanceError


def test_fixed_weights_are_those_given() -> None:
    """Also negative ones and zeros, and also for a batch with one term."""
    balance = Fixed({"a": -2.0, "b": 0.0, "c": 3.0})
    z = torch.ones(2, requires_grad=True)
    balance.total({"a": balance.fork(z)["a"].sum()}).backward()
    assert z.grad is not None
    assert z.grad.tolist() == [-2.0, -2.0]


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_weights_are_finite(weight: float) -> None:
    """A weight that is no number is refused by name."""
    with pytest.raises(BalanceError, match="the weight of 'b' to be a finite number, got"):
        Fixed({"a": 1.0, "b": weight})
