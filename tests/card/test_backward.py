"""Weights honoured in the backward pass."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.card.backward import backward
from poise.doctor.finding import Severity
from tests.card.subjects import normal, of, rules


class Deaf(torch.autograd.Function):
    """A mean of squares whose backward forgets what arrives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        """The value."""
        ctx.save_for_backward(x)
        return x.square().mean()

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Tensor:  # noqa: ANN401
        """The gradient for a weight of 1."""
        (x,) = ctx.saved_tensors
        assert len(given) == 1
        return 2 * x / x.numel()


def test_a_weight_that_is_ignored() -> None:
    """The gradient does not follow the weight: an error."""
    found = backward(of(lambda x: Deaf.apply(x), normal(8)))
    assert rules(found) == ["inspect-weight"]
    assert found.findings[0].severity is Severity.ERROR


def test_autograd_follows_the_weight() -> None:
    """Ordinary losses pass; without a gradient nothing can be said."""
    assert not backward(of(F.mse_loss, normal(8), normal(8, seed=1))).findings
    assert backward(of(lambda x: x.detach().sum(), normal(8))).needs
