"""Ways down that never end."""

import pytest
from torch import Tensor
from torch.nn import functional as F

from poise.card.bound import bound
from poise.doctor.finding import Fault, Severity
from tests.card.subjects import facts, labels, normal, of


def test_a_rewarded_variance_is_unbounded() -> None:
    """-0.1 var has no end: an error, a note for an adversary."""

    def loss(v: Tensor, h: Tensor) -> Tensor:
        return -0.1 * (v * h).sum(-1).var()

    example = (normal(8, 3), normal(8, 3, seed=1))
    (found,) = bound(of(loss, *example)).findings
    assert (found.fault, found.severity) == (Fault.UNBOUNDED, Severity.ERROR)
    (found,) = bound(of(loss, *example, role="adversary")).findings
    assert found.severity is Severity.NOTE


def test_a_logarithm_down_is_unbounded() -> None:
    """-log falls by as much every decade, which never ends."""
    (found,) = bound(of(lambda x: -x.square().mean().log(), normal(8))).findings
    assert "by as much every decade" in found.summary


@pytest.mark.parametrize("loss", [F.mse_loss, F.smooth_l1_loss, F.gaussian_nll_loss])
def test_bounded_losses(loss: object) -> None:
    """Nothing is found, and no value below that of a perfect prediction."""
    example = (normal(8), normal(8, seed=1), *([normal(8).exp()] * (loss is F.gaussian_nll_loss)))
    found = bound(of(loss, *example))  # type: ignore[arg-type]
    assert not found.findings
    assert "lowest" in facts(found)


def test_log_probabilities_cannot_leave_the_simplex() -> None:
    """NLL is linear in its input and yet bounded: predictions stay distributions."""
    assert not bound(of(F.nll_loss, normal(8, 3).log_softmax(1), labels(8))).findings
