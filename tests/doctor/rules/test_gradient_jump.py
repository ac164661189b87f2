"""Terms that start with a bang, and those that are ramped up."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.gradient_jump import GradientJump
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by


def made(seed: int, after: list[float], *, role: str = "task") -> Run:
    """A term that starts at step 100 with the given norms, beside one of norm 1."""
    rng = np.random.default_rng(seed)
    terms = {"ce": fall(2, 1, rng), "mass": fall(5, 4, rng)}
    weights = {"ce": np.ones(200), "mass": np.repeat([0.0, 0.2], 100)}
    steps = [20, 50, 80, 100, 120, 150]
    norms = {"ce": 1 + 0.1 * rng.standard_normal(6), "mass": [0.0, 0.0, 0.0, *after]}
    return watched(
        terms,
        weight_history=weights,
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


def test_an_adversary_that_starts_late_is_a_note() -> None:
    """By its declared role."""
    (one,) = found_by(GradientJump(), made(0, [13.0, 9.0, 6.0], role="adversary"))
    assert one.severity is Severity.NOTE
