"""Where predictions live."""

import pytest
import torch
from torch.nn import functional as F

from poise.card.link import link_of
from tests.card.subjects import labels, normal


@pytest.mark.parametrize(
    ("loss", "example", "name"),
    [
        (F.mse_loss, (normal(8, 3), normal(8, 3)), "free"),
        (F.mse_loss, (normal(8, 3).sigmoid(), normal(8, 3)), "free"),
        (F.nll_loss, (normal(8, 3).log_softmax(1), labels(8)), "log-distribution"),
        (F.binary_cross_entropy, (normal(8).sigmoid(), labels(8, classes=2).float()), "prob"),
        (lambda p, t: (p.log() - t).square().mean(), (normal(8).exp(), normal(8)), "positive"),
        (lambda p, t: (p - t).square().sum(), (normal(8, 3).softmax(1), normal(8, 3)), "distrib"),
    ],
)
def test_found_by_numbers_and_refusals(loss: object, example: tuple, name: str) -> None:
    """A distribution by its sum, a domain by where the loss is not finite; and back again."""
    link = link_of(loss, example)  # type: ignore[arg-type]
    assert link.name.startswith(name)
    assert torch.allclose(link.forward(link.inverse(example[0])), example[0], atol=1e-6)
