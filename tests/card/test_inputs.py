"""Ignored inputs, detached predictions, dead elements."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.card.inputs import inputs
from poise.doctor.finding import Fault, Severity
from tests.card.subjects import facts, labels, normal, of, rules

PAIR = (normal(8, 5), normal(8, 5, seed=1))


def test_a_slice_of_everything_leaves_nothing() -> None:
    """M - m[:, :5] is 0: the prediction is ignored and gets no gradient."""
    (found,) = inputs(of(lambda m, t: (m - m[:, :5] - t).square().mean(), *PAIR)).findings
    assert (found.rule, found.fault) == ("inspect-ignored", Fault.NO_GRADIENT)
    assert found.severity is Severity.ERROR


def test_a_target_that_does_not_matter() -> None:
    """An unused target is no effect, an error."""
    (found,) = inputs(of(lambda m, t: m.square().mean() + 0 * t.sum(), *PAIR)).findings
    assert found.fault is Fault.NO_EFFECT


def test_detached() -> None:
    """The value follows, the gradient does not."""
    found = inputs(of(lambda m, t: (m.detach() - t).square().mean() + 0 * m.sum(), *PAIR))
    assert rules(found) == ["inspect-detached"]


def test_dead_elements() -> None:
    """Half of the prediction is sliced away."""
    found = inputs(of(lambda m, t: (m - t)[:, :3].square().mean(), *PAIR))
    assert rules(found) == ["inspect-dead-elements"]
    assert "16 of 40 elements" in found.findings[0].summary


def test_masked_ignored_and_dropped_elements_are_not_dead() -> None:
    """They do not count here, or not at every draw."""
    mask = torch.arange(40).reshape(8, 5) % 3 > 0

    def masked(m: Tensor, t: Tensor, mask: Tensor) -> Tensor:
        return ((m - t).square() * mask).sum() / mask.sum()

    assert not inputs(of(masked, *PAIR, mask)).findings
    ignored = torch.where(torch.arange(8) < 3, -100, labels(8, classes=5))
    assert not inputs(of(F.cross_entropy, PAIR[0], ignored)).findings
    assert not inputs(of(lambda m, t: (F.dropout(m) - t).abs().mean(), *PAIR)).findings


def test_flow() -> None:
    """The card says where gradients arrive."""
    assert facts(inputs(of(F.mse_loss, *PAIR)))["gradient-flows-to"] == "input, target"


def test_an_argument_that_matters_only_near_the_target_is_not_ignored() -> None:
    """A clamp at 100 ppm: far from the target nothing counts, at the target its value does."""

    def clamped(mass: torch.Tensor, precursor: torch.Tensor) -> torch.Tensor:
        return (1e6 * (mass - precursor).abs() / precursor).clamp(max=100).mean()

    found = inputs(of(clamped, normal(8), normal(8, seed=1).abs() + 1))
    assert "inspect-ignored" not in rules(found)
