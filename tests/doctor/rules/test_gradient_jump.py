"""Terms that start with a bang, and those that are ramped up."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.gradient_jump import GradientJump
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by


def made(
    seed: int,
    after: list[float],
    *,
    role: str = "task",
    end: float = 4.0,
    weights: np.ndarray | None = None,
) -> Run:
    """A term that starts at step 100 with the given norms, beside one of norm 1."""
    rng = np.random.default_rng(seed)
    terms = {"ce": fall(2, 1, rng), "mass": fall(5, end, rng)}
    mass = np.repeat([0.0, 0.2], 100) if weights is None else weights
    steps = [20, 50, 80, 100, 120, 150]
    norms = {"ce": 1 + 0.1 * rng.standard_normal(6), "mass": [0.0, 0.0, 0.0, *after]}
    return watched(
        terms,
        weight_history={"ce": np.ones(200), "mass": mass},
        norms=norms,
        probe_steps=steps,
        declared={"roles": {"mass": role}},
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_jump_is_found_and_a_ramp_is_not(seed: int) -> None:
    """13 times the gradient of the rest at the start, against a ramp from 0.1."""
    (one,) = found_by(GradientJump(), made(seed, [13.0, 9.0, 6.0]))
    assert (one.severity, one.terms, one.steps[0]) == (Severity.WARNING, ("mass",), 100)
    assert not found_by(GradientJump(), made(seed, [0.1, 0.5, 1.0]))


@pytest.mark.parametrize("seed", range(4))
def test_a_gradient_that_is_uneven_at_one_value_points_at_the_loss_function(seed: int) -> None:
    """40-fold at an even value is told; 3-fold is not, nor 40-fold while the value falls as far."""
    (steep,) = found_by(GradientJump(), made(seed, [40.0, 1.0, 6.0]))
    assert "steepest where the error is small" in steep.action
    assert "40 times as large at one probe" in steep.evidence[1].text
    for near in (made(seed, [13.0, 9.0, 6.0]), made(seed, [40.0, 9.0, 1.0], end=0.1)):
        (one,) = found_by(GradientJump(), near)
        assert "steepest" not in one.action
        assert len(one.evidence) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_ramp_to_a_large_gradient_is_no_jump(seed: int) -> None:
    """Five times the rest, but at the end of a ramp that began at a fiftieth of it."""
    ramp = np.concatenate([np.zeros(100), np.linspace(0.004, 0.2, 20), np.full(80, 0.2)])
    assert not found_by(GradientJump(), made(seed, [0.1, 5.0, 5.0], weights=ramp))
    (one,) = found_by(GradientJump(), made(seed, [5.0, 5.0, 5.0], weights=ramp))
    assert one.evidence[0].value == pytest.approx(5.0, rel=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_a_ramp_that_no_probe_sees_is_a_jump(seed: int) -> None:
    """Over within 10 steps, before the first probe; the near miss is half way there by then."""
    for steps, weight in ((10, 1.0), (60, 19 / 60)):
        ramp = np.concatenate([np.zeros(101), np.linspace(0.2 / steps, 0.2, steps)])
        ramp = np.append(ramp, np.full(200, 0.2))[:200]
        found = found_by(GradientJump(), made(seed, [0.0, 13.0 * weight, 13.0], weights=ramp))
        assert len(found) == (steps == 10)


def test_an_adversary_that_starts_late_is_a_note() -> None:
    """By its declared role."""
    (one,) = found_by(GradientJump(), made(0, [13.0, 9.0, 6.0], role="adversary"))
    assert one.severity is Severity.NOTE
