"""Clamps, saturation, knees, kinks and dead zones, each at a known place."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from poise.card.error_shape import Side
from poise.card.error_size import error_size
from poise.card.seen import Seen
from poise.doctor.finding import Severity
from tests.card.subjects import facts, labels, normal, of, rules


def seen(loss: Callable[[Tensor, Tensor], Tensor], *, scale: float = 1.0) -> Seen:
    """The probe's answer for a regression on targets of a size."""
    return error_size(of(loss, scale * normal(8, 3), scale * normal(8, 3, seed=1)))


@settings(max_examples=10, deadline=None)
@given(limit=st.floats(0.01, 100.0))
def test_a_clamp_is_found_where_it_is(limit: float) -> None:
    """The gradient is exactly 0 above the clamp, an error with the place in it."""
    found = seen(lambda a, b: (a - b).abs().clamp(max=limit).mean())
    (one,) = (one for one in found.findings if one.rule == "inspect-clamp")
    assert one.severity is Severity.ERROR
    assert f"above {limit:.4g} " in one.summary


@settings(max_examples=10, deadline=None)
@given(delta=st.floats(0.001, 100.0))
def test_the_knee_of_huber(delta: float) -> None:
    """The gradient stops growing at delta; a note where errors are larger than that."""
    found = seen(lambda a, b: F.huber_loss(a, b, delta=delta))
    assert math.isclose(float(facts(found)["knee"]), delta, rel_tol=1e-3)  # type: ignore[arg-type]
    assert facts(found)["smooth"] is True
    assert rules(found) == (["inspect-linear"] if delta < 0.9 else rules(found))
    assert all(one.severity is Severity.NOTE for one in found.findings)


def test_logarithm_of_the_error() -> None:
    """log1p pulls harder the smaller the error, and is not smooth at 0."""
    found = seen(lambda a, b: 100 * ((a - b).abs() / 100).log1p().mean())
    assert rules(found) == ["inspect-steepens"]
    assert "not smooth at 0" in found.findings[0].summary
    assert facts(found)["smooth"] is False


def test_root_of_the_error() -> None:
    """A root grows without limit, also as a value: it steepens and does not level off."""
    found = seen(lambda a, b: (a - b).abs().sqrt().mean())
    assert rules(found) == ["inspect-steepens"]
    assert "without limit" in found.findings[0].summary


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: (a.sigmoid() - b.sigmoid()).square().mean(),
        lambda a, b: ((a - b).square() / (1 + (a - b).square())).mean(),
        lambda a, b: (1 - (-(a - b).square()).exp()).mean(),
    ],
)
def test_bounded_values_saturate(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Sigmoids, Geman and McClure, Welsch: the gradient vanishes, a warning."""
    found = seen(loss)
    assert rules(found) == ["inspect-saturates"]
    assert found.findings[0].severity is Severity.WARNING


def test_dead_zone() -> None:
    """No gradient below epsilon is a note."""
    assert "inspect-flat" in rules(seen(lambda a, b: ((a - b).abs() - 0.1).relu().mean()))


@pytest.mark.parametrize(
    "loss", [F.mse_loss, F.l1_loss, lambda a, b: (a - b).cosh().log().clamp(max=1e9).mean()]
)
def test_well_behaved_regressions(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Nothing worse than a note."""
    assert all(one.severity is Severity.NOTE for one in seen(loss).findings)


def test_cross_entropy_may_vanish_on_the_right_side() -> None:
    """Only the wrong side of a margin must keep its gradient; perfect costs nothing."""
    found = error_size(of(F.cross_entropy, normal(8, 3), labels(8)))
    assert not found.findings
    assert facts(found)["perfect"] == 0.0


def test_sides_without_points() -> None:
    """A side on which nothing could be evaluated says nothing."""
    assert Side((), (), ()).peak == 0.0
    assert math.isnan(Side((), (), ()).tail)
