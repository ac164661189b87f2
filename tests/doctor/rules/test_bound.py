"""Terms that a clamp holds, and those that only look so."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.bound import TermAtBound
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
CE = decay(RNG, 2, 1)


def held(bound: float, part: float, inside: np.ndarray | None = None) -> np.ndarray:
    """A term that is at its bound in a part of the records."""
    free = bound * RNG.uniform(0.9, 0.99, N) if inside is None else inside
    return np.where(np.arange(N) % 100 < 100 * part, bound, free)


@pytest.mark.parametrize("part", [0.6, 0.97])
def test_a_term_at_its_bound(part: float) -> None:
    """An error in parts per million that is clamped at 100."""
    (one,) = found_by(TermAtBound(), make_run({"ce": CE, "mass": held(100.0, part)}))
    assert (one.severity, one.terms) == (Severity.WARNING, ("mass",))
    assert "never above" in one.summary
    assert one.evidence[0].value == pytest.approx(part, abs=0.02)


def test_a_bound_from_below() -> None:
    """A divergence with free bits of 0.5 that never leaves them, under a name of no penalty."""
    floor = held(0.5, 0.8, 0.5 * RNG.uniform(1.01, 1.1, N))
    (one,) = found_by(TermAtBound(), make_run({"ce": CE, "gap": floor}))
    assert "never below" in one.summary


def test_what_only_looks_held_is_silent() -> None:
    """Less than half, a satisfied hinge, few digits, a constant, a regulariser."""
    quiet = {
        "rare": held(100.0, 0.4),
        "hinge": held(0.0, 0.8, RNG.uniform(0.1, 1, N)),
        "count": np.where(np.arange(N) % 10 < 8, 3.0, 2.0),
        "constant": np.full(N, 5.0),
        "kl": held(0.5, 0.9, 0.5 * RNG.uniform(1.01, 1.1, N)),
    }
    assert not found_by(TermAtBound(), make_run(quiet))


def test_a_training_that_has_converged_is_at_no_bound() -> None:
    """The smallest value to the last bit from a third on; silent only while all else rests too."""
    still = np.arange(N) >= N // 3
    mass = np.where(still, 0.1234567, 0.1234567 * RNG.uniform(1.1, 2, N))
    rest = np.where(still, 0.7654321, RNG.uniform(1, 2, N))
    assert not found_by(TermAtBound(), make_run({"ce": rest + 0, "mass": mass}))
    assert not found_by(TermAtBound(), make_run({"mass": mass}))
    (one,) = found_by(TermAtBound(), make_run({"ce": CE, "mass": mass}))
    assert one.terms == ("mass",)
    top = np.where(still, 0.1234567, 0.1234567 * RNG.uniform(0.5, 0.9, N))
    assert found_by(TermAtBound(), make_run({"ce": rest + 0, "mass": top}))
