"""Terms that sit at a clamp."""

import numpy as np
import pytest

from poise.doctor.rules.saturation import AtClamp
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("held", "guard"), [(-18.42068, "1e-08"), (27.631021, "1e-12")])
def test_a_clamped_logarithm_is_recognised(held: float, guard: str) -> None:
    """Digits of log(1e-8), as printed, of either sign."""
    real = decay(RNG, 0.7, 0.1)
    real[200:] = held
    (one,) = found_by(AtClamp(), make_run({"d_real": real, "g": decay(RNG, 3, 1)}, total=None))
    assert one.terms == ("d_real",)
    assert one.steps == (200, N - 1)
    assert f"log({guard})" in one.summary


def test_terms_at_one_clamp_are_one_finding() -> None:
    """A term and the total that repeats it."""
    held = np.full(N, -18.42068)
    (one,) = found_by(AtClamp(), make_run({"real": held, "fake": held + 0.0}, total=None))
    assert set(one.terms) == {"real", "fake"}


@pytest.mark.parametrize("value", [-18.42168, 18.4, 16.5, 0.0])
def test_another_constant_is_no_clamp(value: float) -> None:
    """The near miss differs in the fourth decimal, or has too few digits to tell."""
    terms = {"a": np.full(N, value), "b": decay(RNG, 3, 1)}
    assert not found_by(AtClamp(), make_run(terms))


def test_values_near_a_clamp_that_move_are_silent() -> None:
    """A loss may pass by."""
    terms = {"a": -18.42068 + 1e-3 * RNG.standard_normal(N)}
    assert not found_by(AtClamp(), make_run(terms, total=None))
