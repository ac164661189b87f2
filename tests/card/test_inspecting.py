"""The whole card."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import poise
from poise.card.inspecting import PROBES
from poise.errors import InspectError
from tests.card.subjects import labels, normal

CLEAN = [
    (F.smooth_l1_loss, (normal(8, 3), normal(8, 3, seed=1))),
    (nn.CrossEntropyLoss(ignore_index=-100), (normal(8, 3), labels(8))),
    (F.binary_cross_entropy_with_logits, (normal(8, 3), labels(8, 3, classes=2).float())),
]


@pytest.mark.parametrize(("loss", "example"), CLEAN)
def test_well_behaved_losses_are_clean(loss: object, example: tuple[object, ...]) -> None:
    """No error, no warning; every probe ran, passed or says what it needs."""
    card = poise.inspect(loss, example)  # type: ignore[arg-type]
    assert card.clean, str(card)
    told = {*card.passed, *(one.rule for one in card.not_checked)}
    assert told <= set(PROBES)
    assert card.slope("batch") == 0.0


def test_everything_is_put_back() -> None:
    """Random state, gradients, inputs and buffers are as they were."""
    layer = nn.BatchNorm1d(3)
    x = normal(8, 3).requires_grad_()
    state, kept = torch.get_rng_state(), x.detach().clone()

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, one: torch.Tensor) -> torch.Tensor:
            return self.layer(one).square().mean()

    poise.inspect(Loss(), (x,))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(layer.running_mean, torch.zeros(3))  # type: ignore[arg-type]
    assert torch.equal(x, kept)
    assert x.grad is None


def test_the_same_card_twice() -> None:
    """Every draw is seeded."""
    pair = (normal(8, 3), normal(8, 3, seed=1))
    assert str(poise.inspect(F.huber_loss, pair)) == str(poise.inspect(F.huber_loss, pair))


def test_a_loss_that_raises_gets_a_card() -> None:
    """The shape error is explained, and nothing else is claimed."""

    def orthogonality(v: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        return (v @ basis).square().mean()

    card = poise.inspect(orthogonality, (normal(32, 64), normal(10, 64)))
    (found,) = card.findings
    assert found.rule == "inspect-raises"
    assert "Transpose the second" in found.action
    assert not card.passed
    assert len(card.not_checked) == len(PROBES)


def test_findings_are_sorted_and_named() -> None:
    """Worst first, about the function's name."""
    card = poise.inspect(
        lambda a, b: (a - b).abs().clamp(max=0.1).mean(),
        (normal(8), normal(8, seed=1)),
        name="clamped",
    )
    ranks = [one.severity.rank for one in card.findings]
    assert ranks == sorted(ranks)
    assert card.findings[0].terms == ("clamped",)
    assert not card.clean


def test_wrong_use() -> None:
    """A role that is none, and a loss that is not reduced."""
    with pytest.raises(InspectError, match="role='critic' is no role"):
        poise.inspect(F.mse_loss, (normal(8), normal(8)), role="critic")
    with pytest.raises(InspectError, match="expected one floating number"):
        poise.inspect(lambda a, b: a - b, (normal(8), normal(8)))
