"""Levels that come undone, spikes, outliers and gradient norms."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.explosion import GradientGrowth, LateDegradation, Spike
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
LATE = np.arange(N) >= 300


def undone(level: float) -> dict[str, np.ndarray]:
    """A term that spikes at record 300 and settles far above its best."""
    bad = decay(RNG, 1, 0.02)
    bad[LATE] *= level
    bad[300] = 40.0
    return {"wave_loss": bad, "edge_loss": decay(RNG, 1, 0.05)}


def test_a_lasting_worse_level_names_the_first_offender() -> None:
    """Best 0.02, later 0.4: a warning that starts at the spike."""
    (one,) = found_by(LateDegradation(), make_run(undone(20)))
    assert one.severity is Severity.WARNING
    assert one.terms[0] == "wave_loss"
    assert 295 <= one.steps[0] <= 305


def test_losing_everything_is_an_error() -> None:
    """A hundred times the best and above the start."""
    (one,) = found_by(LateDegradation(), make_run(undone(500)))
    assert one.severity is Severity.ERROR


def test_doubling_or_a_small_relapse_is_silent() -> None:
    """Twice the best, or three times the best but a twentieth of the start, is little."""
    relapse = {"wave_loss": decay(RNG, 1, 0.005) * np.where(LATE, 6, 1)}
    for terms in (undone(2), relapse):
        assert not found_by(LateDegradation(), make_run(terms))


def test_a_slow_rise_counts_too() -> None:
    """No jump is needed: a term that creeps up from its best level by a factor of 10."""
    creeping = decay(RNG, 3, 0.03, tau=0.05) * np.exp(np.linspace(0, 3, N) * (np.arange(N) > 100))
    (one,) = found_by(LateDegradation(), make_run({"recon_loss": creeping}))
    assert one.severity is not Severity.NOTE


def test_a_term_that_only_grew_out_of_all_range() -> None:
    """A third of the total at first and 30,000 times as large at the end, without any fall."""
    feeds_itself = 0.5 * np.exp(np.linspace(0, np.log(3e4), N))
    terms = {"wave_loss": feeds_itself, "aux_loss": decay(RNG, 1, 0.3)}
    (one,) = found_by(LateDegradation(), make_run(terms))
    assert (one.severity, one.terms[0]) == (Severity.ERROR, "wave_loss")


def test_a_penalty_that_was_nothing_at_first_is_silent() -> None:
    """The same growth, from a thousandth of the total: a term that was as good as off."""
    late = 1e-3 * np.exp(np.linspace(0, np.log(3e4), N))
    assert not found_by(
        LateDegradation(), make_run({"l1_loss": late, "ce_loss": decay(RNG, 90, 80)})
    )


def test_penalties_and_adversaries_are_notes() -> None:
    """The same rise under another name."""
    for name in ("kl", "g_adv_loss"):
        terms = {name: undone(20)["wave_loss"], "ce": decay(RNG, 50, 30)}
        (one,) = found_by(LateDegradation(), make_run(terms))
        assert one.severity is Severity.NOTE


def test_a_term_that_unfolds_from_zero_is_silent() -> None:
    """Growing from almost nothing is what late terms do."""
    terms = {"ce": decay(RNG, 7, 2), "late_loss": np.linspace(1e-6, 1.4, N)}
    assert not found_by(LateDegradation(), make_run(terms))


def test_a_spike_that_comes_back_is_a_note() -> None:
    """One record at 60 times the level, with its step."""
    spiky = decay(RNG, 1, 0.5)
    spiky[200] = 40.0
    (one,) = found_by(Spike(), make_run({"d_loss": spiky}))
    assert (one.severity, one.steps) == (Severity.NOTE, (200, 200))


def test_a_spike_that_stands_alone_is_a_warning() -> None:
    """Five times above everything else in the run, in a term and in the total."""
    lonely = decay(RNG, 1, 0.5)
    lonely[200] = 40.0
    (one,) = found_by(Spike(), make_run({"wave_loss": lonely, "ce": decay(RNG, 1, 0.5)}))
    assert (one.severity, one.terms[0], one.steps) == (Severity.WARNING, "wave_loss", (200, 200))


def test_spikes_that_have_company_are_a_note() -> None:
    """The near miss: a second spike of a third of the height."""
    often = decay(RNG, 1, 0.5)
    often[[90, 200]] = 14.0, 40.0
    (one,) = found_by(Spike(), make_run({"wave_loss": often, "ce": decay(RNG, 1, 0.5)}))
    assert one.severity is Severity.NOTE


def test_a_rise_towards_infinity_is_no_spike() -> None:
    """What never comes back must not be said to."""
    rise = decay(RNG, 1, 0.5)
    rise[-6:] = 15.0, 40.0, 90.0, 200.0, 500.0, np.inf
    assert not found_by(Spike(), make_run({"wave_loss": rise, "ce": decay(RNG, 1, 0.5)}))


def test_heavy_tails_are_no_spikes() -> None:
    """Log-normal scatter reaches five times the median all the time."""
    assert not found_by(Spike(), make_run({"ce": np.exp(0.7 * RNG.standard_normal(N))}))


def test_a_growing_gradient_norm_is_a_note_while_losses_fall() -> None:
    """Twentyfold growth; a warning only with a total that came undone."""
    norm = np.geomspace(1, 40, N)
    (one,) = found_by(GradientGrowth(), make_run({"ce": decay(RNG, 7, 2)}, grad_norm=norm))
    assert one.severity is Severity.NOTE
    (one,) = found_by(GradientGrowth(), make_run(undone(20), grad_norm=norm))
    assert one.severity is Severity.WARNING
    assert not found_by(GradientGrowth(), make_run(undone(20), grad_norm=np.geomspace(1, 6, N)))


def test_growth_by_a_planned_jump_of_the_weights_is_a_note() -> None:
    """The weight goes up twentyfold at once and the norm with it; without that it is a warning."""
    loss = decay(RNG, 1, 0.2)
    weight = np.where(LATE, 20.0, 1.0)
    norm = np.where(LATE, 20.0, 1.0) * (1 + 0.01 * RNG.standard_normal(N))
    planned = make_run(
        {"ce": loss}, total=weight * loss, weight_history={"ce": weight}, grad_norm=norm
    )
    unsaid = make_run({"ce": loss * weight}, grad_norm=norm)
    grows = norm.copy()
    grows[LATE] *= np.geomspace(1, 40, LATE.sum())
    since = make_run(
        {"ce": loss}, total=weight * loss, weight_history={"ce": weight}, grad_norm=grows
    )
    found = [found_by(GradientGrowth(), one)[0].severity for one in (planned, unsaid, since)]
    assert found == [Severity.NOTE, Severity.WARNING, Severity.WARNING]


def test_a_term_that_rises_while_the_total_falls_is_a_note() -> None:
    """Learned log-variances: each weighted term climbs back, and what is minimised falls."""
    fallen = np.concatenate((np.geomspace(2, 0.05, 100), np.geomspace(0.05, 0.6, 250)))
    for end, severity in ((-5.0, Severity.NOTE), (0.0, Severity.WARNING)):
        run = make_run({"depth": fallen, "offset": np.linspace(0, end, 350)})
        (one,) = found_by(LateDegradation(), run)
        assert one.severity is severity
        assert "depth" in one.terms
