"""One term that holds almost the whole value, with and without reason to worry."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.dominance import ValueDominance
from tests.doctor.build import make_run
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def drowned() -> dict[str, np.ndarray]:
    """A text term that falls tenfold beside two that only halve."""
    small = {name: decay(RNG, 0.02, 0.01) for name in ("edge_loss", "angle_loss")}
    return {"text_loss": decay(RNG, 30, 3), **small}


def test_a_term_that_drowns_two_unconverged_ones() -> None:
    """98% of the value and the others lag behind: a warning that names the big term."""
    (one,) = found_by(ValueDominance(), make_run(drowned()))
    assert one.severity is Severity.WARNING
    assert one.terms == ("text_loss",)
    assert "gradient unknown" in one.summary
    assert {fact.series for fact in one.evidence} == {"text_loss", "edge_loss", "angle_loss"}


def test_converged_companions_are_no_victims() -> None:
    """Where the others have lost nine tenths, a high share is only worth a note."""
    terms = drowned() | {name: decay(RNG, 0.02, 1e-4) for name in ("edge_loss", "angle_loss")}
    (one,) = found_by(ValueDominance(), make_run(terms))
    assert one.severity is Severity.NOTE


def test_one_small_auxiliary_is_a_note() -> None:
    """A single small companion is an auxiliary by design more often than a victim."""
    terms = {"text_loss": decay(RNG, 30, 3), "side_loss": decay(RNG, 0.02, 0.01)}
    (one,) = found_by(ValueDominance(), make_run(terms))
    assert one.severity is Severity.NOTE


def starving() -> dict[str, np.ndarray]:
    """One term holds 0.8 of the value, one learns, one of 1e-4 does not."""
    return {
        "mask_loss": decay(RNG, 8, 1.6),
        "edge_loss": decay(RNG, 2, 0.4),
        "blur_loss": decay(RNG, 1e-3, 9e-4),
    }


def test_a_majority_beside_a_starved_term_is_a_warning() -> None:
    """A share of 0.8 alone is ordinary; a starved term shows what it does."""
    (one,) = found_by(ValueDominance(), make_run(starving()))
    assert (one.severity, one.terms) == (Severity.WARNING, ("mask_loss",))
    assert "blur_loss" in one.summary


def test_a_majority_whose_companions_learn_is_silent() -> None:
    """The near miss: the small term learns as well as the others."""
    terms = starving() | {"blur_loss": decay(RNG, 1e-3, 2e-4)}
    assert not found_by(ValueDominance(), make_run(terms))


def test_a_dominant_term_that_stays_at_a_guess_is_a_warning() -> None:
    """A total of which 99.8% is ln 65536 says nothing about the rest."""
    level = np.log(65536)
    terms = {
        "wide_loss": decay(RNG, level, level, noise=0.01),
        "thin_loss": decay(RNG, 0.03, 0.012),
    }
    (one,) = found_by(ValueDominance(), make_run(terms))
    assert (one.severity, one.terms) == (Severity.WARNING, ("wide_loss",))


def test_unknown_weights_are_a_note() -> None:
    """Raw values of terms whose weights nobody knows cannot be compared."""
    (one,) = found_by(ValueDominance(), make_run(drowned(), total=None))
    assert one.severity is Severity.NOTE
    assert "weights unknown" in one.summary


def test_weights_fitted_on_one_record_are_unknown() -> None:
    """One record is fitted by any weights."""
    terms = {"a_loss": [500.0], "b_loss": [1e-3], "c_loss": [2e-3]}
    assert all(one.severity is Severity.NOTE for one in found_by(ValueDominance(), make_run(terms)))


def test_copies_of_a_term_are_one_family() -> None:
    """Three layers of one term dominate together though none does alone."""
    layers = {f"dice_loss_{i}": decay(RNG, 10, 9.9) for i in range(3)}
    rest = {"mask_loss": 0.3 * decay(RNG, 1, 0.4), "edge_loss": decay(RNG, 1e-4, 0.9e-4)}
    (one,) = found_by(ValueDominance(), make_run(layers | rest))
    assert one.severity is Severity.WARNING
    assert set(one.terms) == set(layers)


def test_a_large_but_not_overwhelming_term_is_silent() -> None:
    """80% of the value is ordinary."""
    terms = {"mel_loss": decay(RNG, 20, 14), "kl_loss": decay(RNG, 4, 3), "dur_loss": np.ones(N)}
    assert not found_by(ValueDominance(), make_run(terms))


def test_declared_weights_decide_not_raw_values() -> None:
    """A raw value of 100 with weight 0.05 does not dominate."""
    terms = {"a_loss": decay(RNG, 100, 50), "b_loss": decay(RNG, 1, 0.5)}
    assert not found_by(ValueDominance(), make_run(terms, weights={"a_loss": 0.05}))
