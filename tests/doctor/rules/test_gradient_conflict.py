"""Persistent conflict, and cosines that are negative by chance."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.gradient_conflict import GradientConflict
from poise.run import Run
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

SEEDS = pytest.mark.parametrize("seed", range(4))


def made(seed: int, *, mean: float, probes: int = 24, role: str = "task", end: float = 2.0) -> Run:
    """Cosines around a mean with a scatter of 0.15."""
    rng = np.random.default_rng(seed)
    return watched(
        {"a": fall(2, 1, rng), "b": fall(2, end, rng)},
        cosines={("a", "b"): mean + 0.15 * rng.standard_normal(probes)},
        declared={"roles": {"b": role}},
    )


@SEEDS
def test_persistent_conflict_is_found(seed: int) -> None:
    """A warning where one of the two stands still, a note where both learn."""
    (one,) = found_by(GradientConflict(), made(seed, mean=-0.7))
    assert (one.severity, one.terms) == (Severity.WARNING, ("b", "a"))
    (one,) = found_by(GradientConflict(), made(seed, mean=-0.7, end=1.0))
    assert one.severity is Severity.NOTE


@SEEDS
def test_chance_and_few_probes_are_silent(seed: int) -> None:
    """The near miss: mostly negative by chance, or less than two windows."""
    assert not found_by(GradientConflict(), made(seed, mean=-0.1))
    assert not found_by(GradientConflict(), made(seed, mean=-0.7, probes=15))


def test_adversaries_are_silent() -> None:
    """They are there to oppose; a regulariser is a note."""
    assert not found_by(GradientConflict(), made(0, mean=-0.9, role="adversary"))
    (one,) = found_by(GradientConflict(), made(0, mean=-0.9, role="regulariser"))
    assert one.severity is Severity.NOTE


@SEEDS
def test_a_slow_drift_is_worth_few_probes(seed: int) -> None:
    """The near miss: far below -0.3 on average and in every window, but two values long."""
    rng = np.random.default_rng(seed)
    drift = np.linspace(-0.95, -0.35, 24) + 0.02 * rng.standard_normal(24)
    terms = {"a": fall(2, 1, rng), "b": fall(2, 2, rng)}
    assert not found_by(GradientConflict(), watched(terms, cosines={("a", "b"): drift}))


def test_the_evidence_states_the_interval() -> None:
    """How many probes there are and what they are worth."""
    (one,) = found_by(GradientConflict(), made(0, mean=-0.7))
    (fact,) = one.evidence
    assert "n=24" in fact.text
    assert "95% interval" in fact.text
    assert -0.7 < fact.value < -0.3
