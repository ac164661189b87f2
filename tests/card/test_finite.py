"""Finite where formulas break."""

import torch
from torch import Tensor
from torch.nn import functional as F

from poise.card.finite import finite
from poise.doctor.finding import Fault, Severity
from tests.card.subjects import facts, labels, normal, of, rules


def test_a_root_at_zero_has_no_gradient() -> None:
    """The value is 0 where prediction and target are equal, the gradient NaN: an error."""
    found = finite(
        of(lambda a, b: (a - b).square().sum(-1).sqrt().mean(), normal(8, 3), normal(8, 3))
    )
    one = found.findings[0]
    assert one.rule == "inspect-nan-gradient"
    assert (one.fault, one.severity) == (Fault.NONFINITE, Severity.ERROR)
    assert "prediction and target are equal" in one.summary


def test_softmax_by_hand_overflows() -> None:
    """Exp overflows in float32 at 100 though the loss is only 100; the fused form is fine."""

    def naive(x: Tensor, y: Tensor) -> Tensor:
        p = x.exp() / x.exp().sum(1, keepdim=True)
        return -p.gather(1, y[:, None]).log().mean()

    assert "inspect-overflow" in rules(finite(of(naive, normal(8, 3), labels(8))))
    assert not finite(of(F.cross_entropy, normal(8, 3), labels(8))).findings


def test_division_by_zero() -> None:
    """A prediction of 0 divides by 0: an error; a target of 0 may be impossible: a note."""
    found = finite(of(lambda a, b: ((a - b) / a.norm()).square().sum(), normal(8), normal(8)))
    assert found.findings[0].severity is Severity.ERROR
    found = finite(of(lambda a, b: ((a - b) / b).square().mean(), normal(8), normal(8, seed=1)))
    assert {one.severity for one in found.findings} == {Severity.NOTE}


def test_half_precision() -> None:
    """An epsilon of 1e-8 is 0 in float16; a square overflows there for predictions of 1e4."""

    def lost(a: Tensor, b: Tensor) -> Tensor:
        return ((a - b).square() / (b.square() + 1e-8)).mean()

    target = torch.where(torch.arange(8) == 0, 0.0, normal(8))
    assert "inspect-half" in rules(finite(of(lost, target.clone(), target)))
    found = finite(of(F.mse_loss, normal(8), normal(8, seed=1)))
    assert not found.findings
    assert facts(found)["finite-float32"] == 65504.0
    assert 100.0 <= float(facts(found)["finite-float16"]) < 1e4  # type: ignore[arg-type]
