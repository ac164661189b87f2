"""How rare the positive steps are."""

import pytest
import torch

from poise.errors import ReductionError
from poise.losses.multitask import positive_rate, positive_weight

RARE = torch.zeros(1000)
RARE[:71] = 1.0


def test_the_weight_of_the_incident() -> None:
    """7.1% positive steps weigh 13.1 times as much each, and then all together the same."""
    assert positive_rate(RARE) == pytest.approx(0.071)
    weight = positive_weight(RARE)
    assert weight.item() == pytest.approx(13.1, abs=0.05)
    assert (weight * RARE).sum().item() == pytest.approx((1 - RARE).sum().item(), rel=1e-5)


def test_only_what_counts_is_counted() -> None:
    """Padded steps are no negative ones."""
    mask = torch.arange(1000) < 142
    assert positive_rate(RARE, mask) == pytest.approx(0.5)
    assert positive_weight(RARE, mask).item() == pytest.approx(1.0)


@pytest.mark.parametrize("target", [torch.zeros(5), torch.ones(5)])
def test_one_class_has_no_weight(target: torch.Tensor) -> None:
    """It would be infinite, or nothing."""
    with pytest.raises(ReductionError, match=r"expected steps of both classes, got .*% positive"):
        positive_weight(target)


@pytest.mark.parametrize("target", [torch.zeros(0), torch.tensor([0.0, 0.5])])
def test_flags_only(target: torch.Tensor) -> None:
    """Soft targets have no rate."""
    with pytest.raises(ReductionError, match="expected targets of 0 and 1"):
        positive_rate(target)
