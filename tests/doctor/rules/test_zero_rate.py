"""Learning rates that read 0."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.zero_rate import LearningRateRounded, LearningRateZero
from tests.doctor.build import make_run
from tests.doctor.healthy import N, cosine, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def flat() -> np.ndarray:
    """A loss that fluctuates and goes nowhere."""
    return 4 + 0.1 * RNG.standard_normal(N)


def test_no_learning_rate_at_all() -> None:
    """A learning rate of 0 over the whole run is an error."""
    (one,) = found_by(LearningRateZero(), make_run({"a": flat()}, lr=np.zeros(N)))
    assert one.severity is Severity.ERROR
    assert one.terms == ("lr",)


def test_no_learning_rate_in_the_middle() -> None:
    """A stretch without learning rate names its steps."""
    lr = np.full(N, 1.2345e-4)
    lr[100:200] = 0
    (one,) = found_by(LearningRateZero(), make_run({"a": flat()}, lr=lr))
    assert one.severity is Severity.WARNING
    assert one.steps == (100, 199)


def test_warm_up_and_cosine_end_are_silent() -> None:
    """The first and the last steps of a schedule may be 0."""
    lr = cosine()
    lr[-60:] = 0
    assert lr[0] == 0
    assert not found_by(LearningRateZero(), make_run({"a": flat()}, lr=lr))


def test_rounded_learning_rate_is_a_note() -> None:
    """0.000000 in a log of three decimals need not be 0, least of all if the losses fall."""
    falling = decay(np.random.default_rng(0), 5, 1).round(3)
    (one,) = found_by(LearningRateZero(), make_run({"a": falling}, lr=np.zeros(N)))
    assert one.severity is Severity.NOTE


def test_rounded_learning_rate_is_a_warning_if_nothing_moves() -> None:
    """Then the log shows twice that nothing trains; correlated noise is no movement."""
    wave = np.convolve(np.random.default_rng(3).standard_normal(N + 9), np.ones(10), "valid")
    terms = {"a": (5 + 0.1 * wave).round(3)}
    (one,) = found_by(LearningRateZero(), make_run(terms, lr=np.zeros(N)))
    assert one.severity is Severity.WARNING
    assert "nothing else in the log moves" in one.summary


def test_losses_that_fall_contradict_a_zero() -> None:
    """If the loss falls, some learning rate is at work."""
    (one,) = found_by(LearningRateZero(), make_run({"a": decay(RNG, 7, 2)}, lr=np.zeros(N)))
    assert one.severity is Severity.NOTE


def test_rounded_learning_rate() -> None:
    """Six decimals hide a warm-up to 5e-6; full precision hides nothing."""
    lr = np.linspace(0, 5e-6, N)
    (one,) = found_by(LearningRateRounded(), make_run({"a": flat()}, lr=lr.round(6)))
    assert one.severity is Severity.NOTE
    assert not found_by(LearningRateRounded(), make_run({"a": flat()}, lr=lr))
