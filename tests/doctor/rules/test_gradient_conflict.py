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
    """The near miss: mostly negative by chance, or less than a window."""
    assert not found_by(GradientConflict(), made(seed, mean=-0.1))
    assert not found_by(GradientConflict(), made(seed, mean=-0.7, probes=9))


def test_adversaries_are_silent() -> None:
    """They are there to oppose; a regulariser is a note."""
    assert not found_by(GradientConflict(), made(0, mean=-0.9, role="adversary"))
    (one,) = found_by(GradientConflict(), made(0, mean=-0.9, role="regulariser"))
    assert one.severity is Severity.NOTE


def early(
    seed: int, *, end: float = 2.0, strong: float = -0.7, role: str = "task", **given: object
) -> Run:
    """Opposed for the first 12 of 30 probes, then not any more."""
    rng = np.random.default_rng(seed)
    cosines = np.r_[np.linspace(strong, strong + 0.2, 12), np.full(18, 0.1)]
    return watched(
        {"a": fall(2, 1, rng), "b": fall(2, end, rng)},
        cosines={("a", "b"): cosines + 0.1 * rng.standard_normal(30)},
        declared={"roles": {"b": role}},
        **given,  # type: ignore[arg-type]  # passed on
    )


@SEEDS
def test_a_conflict_that_is_strong_at_first_is_found(seed: int) -> None:
    """A note on the term that had not fallen by then, with the steps of those probes only."""
    (one,) = found_by(GradientConflict(), early(seed))
    assert (one.severity, one.terms) == (Severity.NOTE, ("b", "a"))
    assert one.steps[1] < 80
    (one,) = found_by(GradientConflict(), early(seed, role="regulariser"))
    assert one.severity is Severity.NOTE
    assert not found_by(GradientConflict(), early(seed, role="adversary"))


@pytest.mark.parametrize("before", [0, 3, 7])
def test_it_does_not_matter_when_the_stretch_begins(before: int) -> None:
    """Probes without conflict before it do not hide it, and dense probes neither."""
    rng = np.random.default_rng(before)
    terms = {"a": fall(2, 1, rng), "b": fall(2, 2, rng)}
    for many in (1, 8):
        path = np.r_[np.full(before * many, 0.2), np.full(11 * many, -0.6), np.zeros(20 * many)]
        noisy = path + 0.1 * rng.standard_normal(len(path))
        (one,) = found_by(GradientConflict(), watched(terms, cosines={("a", "b"): noisy}))
        assert (one.severity, one.terms) == (Severity.NOTE, ("b", "a"))


@SEEDS
def test_a_conflict_for_a_while_that_harms_nothing_is_silent(seed: int) -> None:
    """The near miss: both learn, or the cosine is near the limit, or one has hardly a share."""
    assert not found_by(GradientConflict(), early(seed, end=1.0))
    assert not found_by(GradientConflict(), early(seed, strong=-0.4))
    weak = {"a": 0.97, "b": 0.03}
    assert not found_by(GradientConflict(), early(seed, shares=weak))
    assert found_by(GradientConflict(), early(seed, shares={"a": 0.9, "b": 0.1}))


def test_a_term_that_learns_later_is_silent() -> None:
    """The near miss: not fallen by the end of the conflict, but halved by that of the training."""
    rng = np.random.default_rng(0)
    late = np.r_[np.full(90, 2.0), np.linspace(2, 0.8, 110)] * (1 + 0.01 * rng.standard_normal(200))
    cosines = np.r_[np.full(12, -0.7), np.full(18, 0.0)] + 0.1 * rng.standard_normal(30)
    terms = {"a": fall(2, 1, rng), "b": late}
    assert not found_by(GradientConflict(), watched(terms, cosines={("a", "b"): cosines}))


def test_a_weight_on_a_ramp_is_silent() -> None:
    """The near miss: what a term asks for is only just beginning to count."""
    ramp = {"b": np.linspace(0.1, 1, 200)}
    assert not found_by(GradientConflict(), early(0, weight_history=ramp))
    assert found_by(GradientConflict(), early(0, weight_history={"b": np.ones(200)}))


def test_few_steps_of_a_training_are_silent() -> None:
    """The near miss: twelve opposed probes within the first twentieth."""
    probes = np.r_[np.arange(12) * 0.8, np.linspace(12, 199, 18)].astype(int)
    assert not found_by(GradientConflict(), early(0, probe_steps=probes))


@SEEDS
def test_a_slow_drift_does_not_count_as_throughout(seed: int) -> None:
    """A drift is two values long, so not the whole is judged but the window that is opposed."""
    rng = np.random.default_rng(seed)
    drift = np.linspace(-0.95, -0.35, 24) + 0.02 * rng.standard_normal(24)
    terms = {"a": fall(2, 1, rng), "b": fall(2, 2, rng)}
    (one,) = found_by(GradientConflict(), watched(terms, cosines={("a", "b"): drift}))
    assert one.steps[1] < 199
    assert f"from step {one.steps[0]} to {one.steps[1]}" in one.summary
    both = {"a": fall(2, 1, rng), "b": fall(2, 1, rng)}
    assert not found_by(GradientConflict(), watched(both, cosines={("a", "b"): drift}))


def test_the_evidence_states_the_interval() -> None:
    """How many probes there are and what they are worth."""
    (one,) = found_by(GradientConflict(), made(0, mean=-0.7))
    (fact,) = one.evidence
    assert "n=24" in fact.text
    assert "95% interval" in fact.text
    assert -0.7 < fact.value < -0.3
