"""The class term."""

import math

import pytest
import torch
from torch.nn import functional as F

import poise
from poise.losses.multitask import class_loss

LOGITS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 1, 2, 0, 1, 0, 0, 1])


def test_mean_over_windows() -> None:
    """Cross-entropy with its number of windows; ln 3 for a model that knows nothing."""
    found = class_loss(LOGITS, TARGET)
    assert found.value.item() == pytest.approx(F.cross_entropy(LOGITS, TARGET).item(), rel=1e-6)
    assert (int(found.count), found.reduction) == (8, "sample")
    assert class_loss(torch.zeros(8, 3), TARGET).value.item() == pytest.approx(math.log(3))


def test_weights_do_not_change_what_the_mean_is_over() -> None:
    """PyTorch divides by the weights; here twice all weights is twice the loss."""
    weight = torch.tensor([1.0, 2.0, 5.0])
    each = F.cross_entropy(LOGITS, TARGET, reduction="none") * weight[TARGET]
    found = class_loss(LOGITS, TARGET, weight=weight).value
    assert found.item() == pytest.approx(each.mean().item(), rel=1e-6)
    twice = class_loss(LOGITS, TARGET, weight=2 * weight).value
    assert twice.item() == pytest.approx(2 * found.item(), rel=1e-6)


def test_unknown_classes_do_not_count() -> None:
    """Neither in the sum nor in what it is divided by; none known is 0 with gradient 0."""
    some = torch.where(torch.arange(8) < 5, TARGET, -100)
    found = class_loss(LOGITS, some)
    assert found.value.item() == pytest.approx(class_loss(LOGITS[:5], TARGET[:5]).value.item())
    assert int(found.count) == 5
    assert class_loss(LOGITS, torch.full_like(TARGET, -100)).value.item() == 0.0


def test_card() -> None:
    """Nothing but the note on the linear loss of a wrong logit."""
    card = poise.inspect(class_loss, (LOGITS, TARGET))
    assert card.clean
    assert {one.rule for one in card.findings} <= {"inspect-linear"}
