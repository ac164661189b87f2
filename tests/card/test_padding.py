"""Padding must neither cost nor count."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.card.padding import counts_where, padding
from poise.doctor.finding import Severity
from tests.card.subjects import labels, normal, of, rules

MASK = torch.tensor([[True, True, True, False]] * 3)


def example() -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target, mask."""
    return normal(3, 4), normal(3, 4, seed=1), MASK


def test_masked_mean() -> None:
    """Divided by the number of unmasked elements, guarded against none: nothing to say."""

    def good(p: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        return ((p - t).square() * mask).sum() / mask.sum().clamp_min(1)

    found = padding(of(good, *example()))
    assert not found.findings
    assert found.slopes[0].slope == 0.0


def test_divided_by_all_positions() -> None:
    """The mean over everything falls with the share of padding: slope 1."""
    found = padding(of(lambda p, t, mask: ((p - t).square() * mask).mean(), *example()))
    assert rules(found) == ["inspect-padding"]
    assert found.slopes[0].slope == 1.0


def test_leaking_padding() -> None:
    """A normalisation over everything before the mask lets padding in."""

    def leaky(p: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        return ((p / p.square().mean().sqrt() - t).square() * mask).sum() / mask.sum()

    found = padding(of(leaky, *example()))
    assert "inspect-padding-leaks" in rules(found)
    assert found.findings[0].severity in (Severity.ERROR, Severity.WARNING)


def test_empty_batch() -> None:
    """0/0 is a warning for one's own mask and a note for torch's ignored labels."""

    def own(p: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        return ((p - t).square() * mask).sum() / mask.sum()

    (found,) = padding(of(own, *example())).findings
    assert (found.rule, found.severity) == ("inspect-empty", Severity.WARNING)
    (found,) = padding(of(F.cross_entropy, normal(4, 3), labels(4))).findings
    assert (found.rule, found.severity) == ("inspect-empty", Severity.NOTE)


def test_an_inverted_mask() -> None:
    """True may mean padding, as in torch's attention."""

    def inverted(p: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        return ((p - t).square() * ~mask).sum() / (~mask).sum().clamp_min(1)

    one = of(inverted, *example())
    assert counts_where(one, 2) is False
    assert not padding(one).findings
