"""The whole card."""

import random
import sys

import numpy as np
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


def test_the_random_state_is_put_back_wherever_it_stood() -> None:
    """Not only where it already stood at the seed of the probes."""
    torch.manual_seed(4321)
    torch.rand(3)
    state = torch.get_rng_state()
    poise.inspect(F.mse_loss, (normal(8, 3), normal(8, 3, seed=1)))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_the_function_prints_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """It would stand hundreds of times in the card's JSON."""

    def loud(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        sys.stdout.write("step")
        return F.mse_loss(a, b)

    assert poise.inspect(loud, (normal(8), normal(8, seed=1))).clean
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("source", ["torch", "numpy", "python"])
def test_random_losses_get_one_seed(source: str) -> None:
    """Draws from any global generator are no state, and no weight that is ignored."""

    def drawn(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        by = {"torch": torch.rand(()), "numpy": np.random.rand(), "python": random.random()}
        return F.mse_loss(a, b) * by[source]

    card = poise.inspect(drawn, (normal(8, 3), normal(8, 3, seed=1)))
    assert card.clean, str(card)
    assert card.fact("deterministic") is False


class Normalised(nn.Module):
    """Divides by a running mean in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.ones(()))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The mean squared error over its running mean."""
        value = F.mse_loss(a, b)
        self.mean = 0.9 * self.mean + 0.1 * value.detach()
        return value / self.mean


def test_a_running_mean_starts_afresh_at_every_call() -> None:
    """It is told as state, and does not carry one probe's huge errors into the next."""
    loss = Normalised()
    card = poise.inspect(loss, (normal(8, 3), normal(8, 3, seed=1)))
    found = {one.rule for one in card.findings}
    assert "inspect-stateful" in found
    assert "inspect-weight" not in found
    assert card.value == pytest.approx(
        F.mse_loss(normal(8, 3), normal(8, 3, seed=1)).item(), rel=0.5
    )
    assert loss.mean == 1.0


def test_what_cannot_be_probed_is_refused_in_words() -> None:
    """An empty batch, a sparse target, a mapping; a tensor alone is an example of one argument."""
    with pytest.raises(InspectError, match=r"is empty, shape \[0, 3\]"):
        poise.inspect(F.mse_loss, (normal(0, 3), normal(0, 3)))
    with pytest.raises(InspectError, match="argument 1 of the example is sparse"):
        poise.inspect(F.mse_loss, (normal(8, 3), normal(8, 3).to_sparse()))
    with pytest.raises(InspectError, match="the example is a mapping"):
        poise.inspect(F.mse_loss, {"input": normal(8), "target": normal(8)})  # type: ignore[arg-type]
    assert poise.inspect(lambda x: x.square().mean(), normal(8)).clean


def test_a_complex_target_is_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    """Its size is that of its absolute value."""
    target = torch.complex(normal(8, 3), normal(8, 3, seed=1))
    card = poise.inspect(lambda a, b: (a - b).abs().square().mean(), (normal(8, 3), target))
    assert card.value > 0
    assert not recwarn.list


def test_a_value_that_is_never_finite_is_no_state() -> None:
    """NaN is unlike itself; a function that always gives it keeps none."""
    card = poise.inspect(lambda a: a.mean() * float("nan"), (normal(8),))
    assert "inspect-stateful" not in {one.rule for one in card.findings}
