"""Predictions that broadcast against their targets, read off graphs."""

import warnings

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from poise.probe.broadcast import broadcast_of


def out(*shape: int) -> Tensor:
    """Outputs of a model."""
    return 2 * torch.ones(shape, requires_grad=True)


def pairs() -> Tensor:
    """A ranking loss over all pairs of outputs."""
    score = out(5, 1)
    return F.relu(1 - (score - score.T)).mean()


@pytest.mark.parametrize(
    ("term", "shape"),
    [
        (lambda: F.mse_loss(out(5, 1), torch.ones(5)), (5, 1)),
        (lambda: F.smooth_l1_loss(out(5), torch.ones(5, 1)), (5,)),
        (lambda: (out(5, 1) - torch.ones(5)).square().mean(), (5, 1)),
        (lambda: 0.3 * (torch.ones(5) - out(5, 1)).abs().mean() + 1, (5, 1)),
        (lambda: (out(5) - torch.ones(5, 1)).pow(2).sum() / 25, (5,)),
        (lambda: F.mse_loss(out(5, 1), torch.ones(5, 1)), None),
        (lambda: F.mse_loss(out(5), torch.ones(5)), None),
        (lambda: F.mse_loss(out(1, 1), torch.ones(1)), None),
        (lambda: (out(5, 1) - torch.ones(5, 8)).square().mean(), None),
        (lambda: (out(5, 5) - torch.ones(5)).square().mean(), None),
        (pairs, None),
        (lambda: torch.tensor(1.0), None),
    ],
)
def test_shape_of_a_broadcast_prediction(term: object, shape: tuple[int, ...] | None) -> None:
    """(B, 1) against (B,) and the other way round; nothing that is meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says so too, for its own losses
        assert broadcast_of(term()) == shape  # type: ignore[operator]  # a function
