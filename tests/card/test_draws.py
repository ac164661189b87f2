"""Predictions and arguments to try."""

import torch
from torch.nn import functional as F

from poise.card.draws import others, predictions
from tests.card.subjects import labels, normal, of


def test_predictions_come_near_the_target() -> None:
    """A loss whose gradient is alive only close to the target shows it."""
    one = of(lambda p, t: (p - t).abs().clamp(max=1e-3).mean(), 5 + normal(8), normal(8))
    assert any(bool((one.at(z).gradient() != 0).any()) for z in predictions(one))


def test_other_values_are_of_the_same_kind() -> None:
    """Labels stay classes, ignored ones ignored; masks turn; zeros and ones stay such."""
    given = torch.where(torch.arange(8) == 0, -100, labels(8))
    found = of(F.cross_entropy, normal(8, 3), given)
    for other in others(found, 1):
        assert isinstance(other, torch.Tensor)
        assert int(other[0]) == -100
        assert int(other.max()) <= 2
    binary = of(F.binary_cross_entropy_with_logits, normal(8), labels(8, classes=2).float())
    (turned,) = others(binary, 1)
    assert torch.equal(turned, 1 - binary.example[1])  # type: ignore[arg-type, operator]
