"""What printing hides."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.printing import RoundedTerms, SmoothedTotal
from tests.doctor.build import make_run
from tests.doctor.healthy import HEALTHY, N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def plain() -> dict[str, np.ndarray]:
    """Two terms."""
    return {"ce": decay(RNG, 7, 2), "kl": decay(RNG, 3, 1)}


def test_rounded_terms() -> None:
    """A term that moves by 4 units of its last digit is named; one with 300 is not."""
    terms = {"ce": decay(RNG, 7, 2).round(2), "kl": decay(RNG, 0.004, 0.001).round(3)}
    (one,) = found_by(RoundedTerms(), make_run(terms))
    assert one.severity is Severity.NOTE
    assert one.terms == ("kl",)
    assert not found_by(RoundedTerms(), make_run(plain()))


def test_smoothed_total() -> None:
    """A running mean is recognised; the sum itself is not smoothed."""
    (one,) = found_by(SmoothedTotal(), HEALTHY["running_mean"](RNG))
    assert one.severity is Severity.NOTE
    assert not found_by(SmoothedTotal(), make_run(plain()))
    given = plain()
    noisy = (given["ce"] + given["kl"]) * (1 + 0.1 * RNG.standard_normal(N))
    assert not found_by(SmoothedTotal(), make_run(given, total=noisy))
