"""The loss function under examination."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.card.subjects import labels, normal, of


def test_double_precision_where_it_can_be() -> None:
    """Functions and modules run in float64; one that refuses stays as it is."""
    assert of(F.mse_loss, normal(4, 3), normal(4, 3)).z.dtype == torch.float64
    weighted = nn.CrossEntropyLoss(weight=torch.rand(3))
    assert of(weighted, normal(4, 3), labels(4)).z.dtype == torch.float64
    assert weighted.weight.dtype == torch.float32
    table = normal(3, 3)
    assert of(lambda x: (x @ table).square().mean(), normal(4, 3)).z.dtype == torch.float32


def test_coordinates_of_a_distribution() -> None:
    """The call in logits is the call in probabilities."""
    p = normal(4, 3).softmax(1)
    found = of(lambda one, t: (one - t).square().sum(), p, normal(4, 3))
    assert abs(found.at(found.z).value - found.base.value) < 1e-5
    assert abs(found.at(found.z + 5.0).value - found.base.value) < 1e-5


def test_equal_in_half_the_digits() -> None:
    """`same` sees neither rounding nor less than half of the digits."""
    one = of(F.mse_loss, normal(4), normal(4))
    assert one.same(1.0, 1.0 + 1e-9)
    assert not one.same(1.0, 1.0 + 1e-7)
