"""Terms of tiny weight or share that are not learned, and those that are."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.starvation import ValueStarvation
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def test_a_tiny_share_that_is_not_learned() -> None:
    """Share below 1%, 10% down, while the other falls tenfold."""
    terms = {"pose_loss": decay(RNG, 5, 0.5), "grip_loss": decay(RNG, 0.003, 0.0027, noise=0.02)}
    (one,) = found_by(ValueStarvation(), make_run(terms))
    assert one.severity is Severity.WARNING
    assert one.terms == ("grip_loss",)
    assert "value-dominance" in one.caused_by


def test_a_tiny_weight_starves_at_a_share_above_one_percent() -> None:
    """A flat term of weight 0.001 is starved although its share grows to 10%."""
    terms = {"pose_loss": decay(RNG, 0.01, 0.004), "grip_loss": decay(RNG, 0.72, 0.715, noise=1e-3)}
    (one,) = found_by(ValueStarvation(), make_run(terms, weights={"grip_loss": 1e-3}))
    assert one.severity is Severity.WARNING
    assert "weight is 0.001" in one.summary


def test_a_tiny_share_that_is_learned_all_the_same() -> None:
    """A term that loses four fifths of its value is learned, however small."""
    terms = {"pose_loss": decay(RNG, 5, 0.5), "grip_loss": decay(RNG, 0.003, 0.0006)}
    assert not found_by(ValueStarvation(), make_run(terms))


def test_a_penalty_and_unknown_weights_are_notes() -> None:
    """Small penalties are meant to be small; raw values are not comparable."""
    flat = decay(RNG, 0.003, 0.0029, noise=0.02)
    penalty = {"pose_loss": decay(RNG, 5, 0.5), "reg_loss": flat}
    foreign = {"pose_loss": decay(RNG, 5, 0.5), "grip_loss": flat}
    for run in (make_run(penalty), make_run(foreign, total=None)):
        (one,) = found_by(ValueStarvation(), run)
        assert one.severity is Severity.NOTE


def test_a_declared_role_beats_the_name() -> None:
    """A term declared to be a regulariser is no victim, one declared a task is."""
    terms = {"pose_loss": decay(RNG, 5, 0.5), "kl": decay(RNG, 0.003, 0.0029, noise=0.02)}
    (one,) = found_by(ValueStarvation(), make_run(terms, declared={"roles": {"kl": "task"}}))
    assert one.severity is Severity.WARNING


def test_a_term_that_starts_late_or_grows_is_not_starved() -> None:
    """What grows from almost nothing is switched on or unfolds."""
    terms = {"pose_loss": decay(RNG, 5, 0.5), "late_loss": np.linspace(1e-6, 1e-3, N)}
    assert not found_by(ValueStarvation(), make_run(terms))


def test_one_finding_for_a_family() -> None:
    """The copies of a term at several layers are reported once."""
    layers = {f"grip_loss_{i}": decay(RNG, 0.003, 0.0027, noise=0.02) for i in range(4)}
    assert (
        len(found_by(ValueStarvation(), make_run({"pose_loss": decay(RNG, 5, 0.5)} | layers))) == 1
    )


def test_a_slow_learner_is_not_starved_but_a_stalled_one_is() -> None:
    """Both are 40% down at the end; only one of them has stopped."""
    slow = 0.003 * np.linspace(1, 0.6, N)
    stalled = 0.003 * np.maximum(0.6, np.linspace(1, -1, N))
    pose = decay(RNG, 5, 0.5)
    assert not found_by(ValueStarvation(), make_run({"pose_loss": pose, "grip_loss": slow}))
    (one,) = found_by(ValueStarvation(), make_run({"pose_loss": pose, "grip_loss": stalled}))
    assert one.severity is Severity.WARNING
