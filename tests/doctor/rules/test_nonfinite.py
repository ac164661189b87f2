"""NaN and infinity in terms, totals, evaluations and statistics."""

import numpy as np
import pytest

from poise.doctor import diagnose
from poise.doctor.finding import Severity
from poise.doctor.rules.nonfinite import (
    NonfiniteEval,
    NonfiniteStatistic,
    NonfiniteTerm,
    NonfiniteTotal,
)
from tests.doctor.build import make_run
from tests.doctor.healthy import decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def broken(values: np.ndarray, start: int, stop: int | None = None) -> np.ndarray:
    """A copy with NaN from `start` to `stop`."""
    out = values.copy()
    out[start:stop] = np.nan
    return out


def test_first_offender_is_named() -> None:
    """Of two terms that break, the earlier one leads, with its step."""
    terms = {"ce": broken(decay(RNG, 7, 2), 120), "kl": broken(decay(RNG, 1, 0.5), 118)}
    (one,) = found_by(NonfiniteTerm(), make_run(terms, steps=np.arange(400) * 10))
    assert one.severity is Severity.ERROR
    assert one.terms == ("kl", "ce")
    assert one.steps[0] == 1180
    assert "step 1180" in one.summary


def test_infinity_before_nan_is_an_overflow() -> None:
    """Infinity first and NaN later is told apart from NaN alone."""
    values = broken(decay(RNG, 7, 2), 200)
    values[199] = np.inf
    (one,) = found_by(NonfiniteTerm(), make_run({"ce": values}))
    assert "infinite, then NaN in 201 of 400 records from step 199 to the end" in one.summary
    assert "overflow" in one.cause


def test_nan_from_the_start_blames_data_or_formula() -> None:
    """A term that never was finite did not break in the training."""
    (one,) = found_by(NonfiniteTerm(), make_run({"a": np.full(50, np.nan), "b": np.ones(50)}))
    assert one.severity is Severity.ERROR
    assert "every one of its 50 records" in one.summary
    assert "first record" in one.cause


def test_term_that_the_total_leaves_out_is_a_note() -> None:
    """NaN of a batch without samples is no alarm while the total stays finite."""
    a, b = decay(RNG, 7, 2), decay(RNG, 3, 1)
    run = make_run({"a": a, "b": broken(b, 50, 60)}, total=np.where(np.arange(400) < 50, a + b, a))
    (one,) = found_by(NonfiniteTerm(), run)
    assert one.severity is Severity.NOTE


def test_finite_terms_are_silent() -> None:
    """Large and negative values are finite."""
    assert not found_by(NonfiniteTerm(), make_run({"a": np.array([1e300, -1e300, 0.0])}))


def test_total_alone_points_to_what_is_not_logged() -> None:
    """A total that is NaN beside finite terms has a culprit outside the log."""
    terms = {"a": decay(RNG, 7, 2), "b": decay(RNG, 3, 1)}
    total = broken(terms["a"] + terms["b"], 300)
    (one,) = found_by(NonfiniteTotal(), make_run(terms, total=total))
    assert one.severity is Severity.ERROR
    assert one.terms == ("loss",)
    assert "not logged" in one.cause


def test_total_that_follows_its_term_is_left_to_the_term() -> None:
    """The total of a broken term is a consequence, not another finding."""
    assert not found_by(NonfiniteTotal(), make_run({"a": broken(decay(RNG, 7, 2), 300)}))


def test_evaluation_alone() -> None:
    """Evaluation losses that are NaN while training is finite are a warning."""
    evals = {"loss": broken(decay(RNG, 7, 2, n=20), 0, 12)}
    (one,) = found_by(NonfiniteEval(), make_run({"a": decay(RNG, 7, 2)}, evals=evals))
    assert one.severity is Severity.WARNING
    assert "val" in one.summary


def test_evaluation_after_training_broke_is_silent() -> None:
    """What follows from broken parameters is not reported again."""
    evals = {"loss": broken(decay(RNG, 7, 2, n=20), 15)}
    run = make_run({"a": broken(decay(RNG, 7, 2), 100)}, evals=evals)
    assert not found_by(NonfiniteEval(), run)


def test_undefined_metric_is_a_note() -> None:
    """Metrics without samples are worth a note and no more."""
    run = make_run({"a": decay(RNG, 7, 2)}, eval_statistics={"ap": np.full(5, np.nan)})
    (one,) = found_by(NonfiniteStatistic(), run)
    assert one.severity is Severity.NOTE


@pytest.mark.parametrize(
    ("count", "severity"), [(1, Severity.NOTE), (40, Severity.WARNING), (310, Severity.ERROR)]
)
def test_a_single_skipped_batch_is_a_note(count: int, severity: Severity) -> None:
    """One record is what gradient scaling leaves, a tenth of the run is not, no end is the end."""
    (one,) = found_by(NonfiniteTerm(), make_run({"a": broken(decay(RNG, 7, 2), 90, 90 + count)}))
    assert one.severity is severity


def test_all_terms_at_once_after_a_gradient_blame_the_parameters() -> None:
    """The gradient broke at step 100, every value at 101; without it the values are looked at."""
    terms = {"ce": broken(decay(RNG, 7, 2), 101), "kl": broken(decay(RNG, 1, 0.5), 101)}
    norm = broken(decay(RNG, 5, 1), 100)
    outcome = diagnose(make_run(terms, grad_norm=norm))
    first, second = outcome.findings[:2]
    assert (first.rule, first.severity) == ("nonfinite-gradient", Severity.ERROR)
    assert (second.rule, second.caused_by) == ("nonfinite-term", ("nonfinite-gradient",))
    assert "all 2 terms at once" in second.summary
    assert "step 100" in second.action
    (alone,) = found_by(NonfiniteTerm(), make_run(terms, grad_norm=broken(norm, 101)[:101]))
    assert "all 2 terms at once" in alone.summary


@pytest.mark.parametrize("healed", [95, 101])
def test_a_gradient_that_healed_or_one_term_alone_is_not_blamed_on_it(healed: int) -> None:
    """A skipped step spared the parameters; one term that breaks first is its own cause."""
    both = {"ce": broken(decay(RNG, 7, 2), 101), "kl": broken(decay(RNG, 1, 0.5), 101)}
    norm = broken(decay(RNG, 5, 1), 90, healed)
    (one,) = found_by(NonfiniteTerm(), make_run(both, grad_norm=norm))
    assert bool(one.caused_by) == (healed == 101)
    alone = {"ce": decay(RNG, 7, 2), "kl": broken(decay(RNG, 1, 0.5), 101)}
    (one,) = found_by(NonfiniteTerm(), make_run(alone, grad_norm=broken(decay(RNG, 5, 1), 90)))
    assert not one.caused_by
