"""The span terms: on logits, and the clamped form that was trained later."""

import pytest
import torch
from torch.nn import functional as F

import poise
from poise.errors import LossError
from poise.losses.multitask import positive_weight, soft_span_loss, span_loss, span_target

LOGITS = 2.0 * torch.randn(4, 105, generator=torch.Generator().manual_seed(0))
START, END = torch.tensor([10.0, 40.0, 70.0, 98.0]), torch.tensor([16.0, 42.0, 90.0, 104.0])
TARGET = span_target(START, END, 105)
MASK = torch.arange(105) < torch.tensor([[105], [80], [100], [99]])


def test_target() -> None:
    """First and last step belong to it."""
    assert TARGET.sum(dim=1).tolist() == [7.0, 3.0, 21.0, 7.0]
    assert TARGET[1, 39:44].tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("rare", [None, torch.tensor(13.1)])
def test_both_forms_are_binary_cross_entropy(rare: torch.Tensor | None) -> None:
    """On logits and, away from the clamp, on probabilities; the mask and the weight in both."""
    each = F.binary_cross_entropy(LOGITS.sigmoid(), TARGET, reduction="none")
    each = each * (1.0 if rare is None else torch.where(TARGET > 0, rare, 1.0))
    expected = each[MASK].mean().item()
    found = span_loss(LOGITS, TARGET, MASK, positive_weight=rare)
    assert found.value.item() == pytest.approx(expected, rel=1e-4)
    assert (int(found.count), found.reduction) == (int(MASK.sum()), "element")
    factor = 1.0 if rare is None else rare
    soft = soft_span_loss(LOGITS.sigmoid(), TARGET, MASK, positive_weight=factor)
    assert soft.value.item() == pytest.approx(expected, rel=1e-4)


def test_the_weight_makes_both_classes_weigh_the_same() -> None:
    """The gradients at an undecided model then sum to zero; without it they ask for "no"."""
    for rare, balanced in ((positive_weight(TARGET), True), (None, False)):
        logits = torch.zeros_like(TARGET, requires_grad=True)
        span_loss(logits, TARGET, positive_weight=rare).value.backward()
        assert logits.grad is not None
        assert (abs(logits.grad.sum().item()) < 1e-6) is balanced


def test_card_on_logits() -> None:
    """Nothing but the note on the linear loss of a wrong logit."""
    card = poise.inspect(span_loss, (LOGITS, TARGET), length=1)
    assert card.clean
    assert {one.rule for one in card.findings} <= {"inspect-linear"}


def test_card_of_the_clamped_form() -> None:
    """Surely wrong probabilities send no gradient: the error that its docstring tells."""
    probability = torch.rand(4, 105, generator=torch.Generator().manual_seed(1))
    card = poise.inspect(soft_span_loss, (probability, TARGET), length=1)
    assert "inspect-clamp" in {one.rule for one in card.findings}


def test_a_surely_wrong_step_learns_on_logits_only() -> None:
    """The same prediction, 1e-9 where the step is in the span: no gradient against nearly -1."""
    logit = torch.tensor([[-20.0]], requires_grad=True)
    one = torch.ones(1, 1)
    soft_span_loss(logit.sigmoid(), one).value.backward()
    assert logit.grad is not None
    assert logit.grad.item() == 0.0
    logit.grad = None
    span_loss(logit, one).value.backward()
    assert logit.grad.item() == pytest.approx(-1.0)


def test_another_shape_is_refused() -> None:
    """Neither form compares one window's steps with those of all."""
    with pytest.raises(LossError, match="soft_span_loss: expected 'target' to have the shape"):
        soft_span_loss(LOGITS.sigmoid(), TARGET[:1])
    with pytest.raises(LossError, match="span_loss: expected 'target' to have the shape"):
        span_loss(LOGITS, TARGET[:1])


def test_the_clamp_holds_in_half_precision() -> None:
    """A probability of 1 where there is no span costs -ln 1e-6, not infinity."""
    sure = torch.ones(1, 3, dtype=torch.float16)
    assert soft_span_loss(sure, 0 * sure).value.item() == pytest.approx(13.8, abs=0.1)
