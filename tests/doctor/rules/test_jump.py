"""Discontinuities with and without an explanation."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.jump import TermJump, TermSwitches, TotalJump
from poise.run import Event
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
HALF = (np.arange(N) >= N // 2).astype(float)


def started(level: float = 9.0) -> dict[str, np.ndarray]:
    """A term that starts at once in the middle of the run."""
    return {"ce": decay(RNG, 5, 2), "mass": HALF * level * decay(RNG, 1, 0.8)}


def test_a_total_that_doubles_is_named_with_its_term_and_record() -> None:
    """Unexplained and more than doubled: a warning at the very record."""
    (one,) = found_by(TotalJump(), make_run(started()))
    assert one.severity is Severity.WARNING
    assert one.terms == ("mass",)
    assert one.steps == (N // 2, N // 2)
    assert "nothing in the log explains it" in one.summary


def test_a_smaller_step_is_a_note() -> None:
    """A step of 40% is worth knowing only."""
    (one,) = found_by(TotalJump(), make_run(started(1.2)))
    assert one.severity is Severity.NOTE


@pytest.mark.parametrize("how", ["weight", "lr", "event"])
def test_a_step_that_the_log_explains_says_so(how: str) -> None:
    """A logged weight, a learning rate or a stage at that record is quoted."""
    given: dict[str, object] = {
        "weight": {"weight_history": {"mass": 0.5 * HALF}},
        "lr": {"lr": 1e-3 * (1 - 0.9 * HALF)},
        "event": {"events": [Event(name="stage", step=N // 2, text="stage two begins")]},
    }[how]  # type: ignore[assignment]
    (one,) = found_by(TotalJump(), make_run(started(1.2), **given))  # type: ignore[arg-type]
    assert one.severity is Severity.NOTE
    assert "nothing in the log" not in one.summary


def test_a_restart_is_no_jump() -> None:
    """Between two starts the level may change."""
    parts = HALF.astype(int)
    run = make_run({"ce": decay(RNG, 5, 4) * (1 + 3 * HALF)}, segments=parts)
    assert not found_by(TotalJump(), run)


def test_ramps_spikes_and_falls_are_no_jumps() -> None:
    """A ramp over a quarter of the run, a spike, and a fall by half at a milestone."""
    ramp = np.clip((np.arange(N) - 100) / 100, 0, 1)
    spiky = decay(RNG, 5, 2)
    spiky[200] *= 50
    for terms in (
        {"ce": decay(RNG, 5, 2), "late": 9 * ramp},
        {"ce": spiky},
        {"ce": decay(RNG, 5, 2) * (1 - 0.5 * HALF)},
    ):
        assert not found_by(TotalJump(), make_run(terms))


def test_a_term_jumps_without_a_total() -> None:
    """Threefold and unexplained is a note; with a total it is left to the total."""
    terms = {"ce": decay(RNG, 5, 2), "mass": decay(RNG, 1, 0.8) * (1 + 4 * HALF)}
    (one,) = found_by(TermJump(), make_run(terms, total=None))
    assert (one.severity, one.terms) == (Severity.NOTE, ("mass",))
    assert not found_by(TermJump(), make_run(terms))


def switching(name: str = "pair") -> dict[str, np.ndarray]:
    """A term that is on in every second stretch of 40 records."""
    on = (np.arange(N) // 40) % 2
    return {"ce": decay(RNG, 8, 6), name: 4 * on * decay(RNG, 1, 0.9)}


def test_a_term_that_switches_on_and_off() -> None:
    """Nine switches of a term of a third of the total: a warning with the switch steps."""
    (one,) = found_by(TermSwitches(), make_run(switching()))
    assert (one.severity, one.terms, one.steps) == (Severity.WARNING, ("pair",), (40, 360))


def test_switching_of_an_adversary_or_by_logged_weights_is_a_note() -> None:
    """Networks trained in turns, and a schedule that is logged, are meant."""
    on = ((np.arange(N) // 40) % 2).astype(float)
    for run in (
        make_run(switching("d_adv")),
        make_run(switching(), weight_history={"pair": on}),
    ):
        (one,) = found_by(TermSwitches(), run)
        assert one.severity is Severity.NOTE


def test_a_hinge_whose_margin_is_met_is_a_note() -> None:
    """It came down to 0 and comes back a little; what is switched comes back at its level."""
    on = (np.arange(N) // 40) % 2 == 0
    falling = np.where(np.arange(N) < 40, np.linspace(9, 4, N), 3.0) * on
    (one,) = found_by(TermSwitches(), make_run({"ce": decay(RNG, 8, 6), "margin": falling}))
    assert one.severity is Severity.NOTE


def test_one_start_or_a_lazy_penalty_is_no_switching() -> None:
    """A term that starts once, and one that is computed every eighth record."""
    lazy = np.where(np.arange(N) % 8 == 0, 4.0, 0.0)
    for terms in (started(), {"ce": decay(RNG, 8, 6), "r1": lazy}):
        assert not found_by(TermSwitches(), make_run(terms))


def test_a_logged_factor_explains_a_jump() -> None:
    """A planned start whose factor is in the log is a note, one that nothing explains a warning."""
    rng = np.random.default_rng(0)
    late = np.arange(N) >= N // 2
    terms = {"rec": decay(rng, 2, 1), "head": np.where(late, 4.0, 0.0)}
    for given, severity in (({}, Severity.WARNING), ({"head_factor": late}, Severity.NOTE)):
        (one,) = found_by(TotalJump(), make_run(terms, statistics=given))
        assert one.severity is severity


def test_the_last_printed_digit_is_no_jump() -> None:
    """A total that is printed as 0.0000 and later as 0.0002 has not jumped; 0.0200 has."""
    for level, count in ((2e-4, 0), (2e-2, 1)):
        total = (np.where(np.arange(N) >= N // 2, level, 0.0) + 1e-4).round(4)
        assert len(found_by(TotalJump(), make_run({"a": total}, total=total))) == count
