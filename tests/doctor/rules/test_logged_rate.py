"""Learning rates that are logged and not used."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.logged_rate import LearningRateNotAsLogged
from poise.doctor.rules.zero_rate import LearningRateZero
from poise.run import Kind, Run
from tests.doctor.build import make_run, make_table
from tests.doctor.build_probes import ADAM
from tests.doctor.rules_of import found_by

N = 100
REAL = np.concatenate((np.zeros(20), np.geomspace(1e-3, 1e-5, N - 20)))


def run(logged: np.ndarray, *, real: np.ndarray = REAL, watched: bool = True) -> Run:
    """A run whose optimizer has `real` and whose training logs `logged`."""
    declared = {"watch": {"every": 5}, "optimizers": ADAM} if watched else {}
    made = make_run({"a": np.linspace(2, 1, N)}, declared=declared)
    columns = {
        name: (one.kind, (one.rows, one.values), one.of) for name, one in made.train.series.items()
    }
    columns["lr"] = (Kind.LEARNING_RATE, real, None)
    columns["printed_lr"] = (Kind.LEARNING_RATE, logged, None)
    table = make_table(columns, steps=made.train.steps)
    return Run(path=made.path, format=made.format, tables=(table,), declared=declared)


def test_a_configured_rate_hides_a_zero() -> None:
    """2e-3 is printed while the optimizer has 0: a warning with both, and their steps."""
    (one,) = found_by(LearningRateNotAsLogged(), run(np.where(REAL == 0, 2e-3, REAL)))
    assert one.severity is Severity.WARNING
    assert one.steps == (0, 19)
    assert "logged as 0.002 where the optimizer has 0; they differ in 20 of 100" in one.summary


def test_what_is_printed_does_not_hide_the_zero_from_its_own_rule() -> None:
    """`lr-zero` asks the optimizer, in a watched run."""
    logged = np.where(REAL == 0, 2e-3, REAL)
    (one,) = found_by(LearningRateZero(), run(logged))
    assert (one.severity, one.terms, one.steps) == (Severity.WARNING, ("lr",), (0, 19))


def test_a_factor_of_three_is_a_warning_and_a_tenth_a_note() -> None:
    """How far apart they are decides."""
    real = np.where(np.arange(N) < 50, 1e-3, 1e-4)
    half = np.arange(N) < 50
    for factor, severity in ((3, Severity.WARNING), (1.1, Severity.NOTE)):
        logged = np.where(half, factor, 1) * real
        (one,) = found_by(LearningRateNotAsLogged(), run(logged, real=real))
        assert (one.severity, one.steps) == (severity, (0, 49))


FALLING = np.geomspace(1e-3, 1e-5, N)


@pytest.mark.parametrize(
    "logged",
    [FALLING, np.roll(FALLING, -1), 1000 * FALLING, np.where(np.arange(N) == 7, 1, FALLING)],
    ids=["the same", "one step ahead", "in thousandths", "one record"],
)
def test_look_alikes_are_silent(logged: np.ndarray) -> None:
    """Logged after the scheduler's step, in other units, or wrong once."""
    assert not found_by(LearningRateNotAsLogged(), run(logged, real=FALLING))


def test_a_log_without_a_watch_cannot_be_judged() -> None:
    """Both may be true there."""
    logged = np.where(REAL == 0, 2e-3, REAL)
    assert not found_by(LearningRateNotAsLogged(), run(logged, watched=False))
