"""Gradient norms that are not finite, and loss scales that fall."""

import numpy as np
import pytest

from poise.doctor.finding import Severity
from poise.doctor.rules.nonfinite_gradient import LossScaleFalling, NonfiniteGradient
from poise.run import Event
from tests.doctor.build import make_run
from tests.doctor.build_probes import watched
from tests.doctor.healthy import N, decay
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)


def test_frequent_infinite_gradients_are_a_warning() -> None:
    """A tenth of all steps is more than a loss scale on trial ever skips."""
    norm = decay(RNG, 5, 1)
    norm[50::10] = np.inf
    (one,) = found_by(NonfiniteGradient(), make_run({"a": decay(RNG, 7, 2)}, grad_norm=norm))
    assert one.severity is Severity.WARNING


def test_settling_and_single_overflows_are_a_note() -> None:
    """The first steps of mixed precision overflow by design."""
    norm = decay(RNG, 5, 1)
    norm[[0, 1, 2, 3, 4, 200]] = np.inf
    (one,) = found_by(NonfiniteGradient(), make_run({"a": decay(RNG, 7, 2)}, grad_norm=norm))
    assert one.severity is Severity.NOTE


@pytest.mark.parametrize("digits", [2, 3, 9])
def test_scale_that_never_settles(digits: int) -> None:
    """Halving to the very end means gradients that grow, however short the log prints it."""
    exact = 2.0 ** (16 - np.arange(N) // 25)
    scale = np.array([float(f"{one:.{digits}g}") for one in exact])
    (one,) = found_by(LossScaleFalling(), make_run({"a": decay(RNG, 7, 2)}, loss_scale=scale))
    assert one.severity is Severity.WARNING


def test_a_scale_that_is_no_loss_scale_is_silent() -> None:
    """The mean square of some features is called `scale` and falls below 1; no powers of two."""
    scale = np.geomspace(9, 0.5, N)
    assert not found_by(LossScaleFalling(), make_run({"a": decay(RNG, 7, 2)}, loss_scale=scale))


def test_scale_that_settles_is_silent() -> None:
    """Halving in the first quarter and wandering by 2 after that is healthy."""
    scale = 2.0 ** np.maximum(16 - np.arange(N) // 10, 7 + np.arange(N) // 50 % 2)
    assert not found_by(LossScaleFalling(), make_run({"a": decay(RNG, 7, 2)}, loss_scale=scale))


def test_overflow_messages() -> None:
    """Overflow in most steps is a warning, now and then a note, at the start only nothing."""
    terms = {"a": decay(RNG, 7, 2)}

    def severities(steps: range) -> list[Severity]:
        events = [Event(name="overflow", step=one, text="overflow") for one in steps]
        return [
            one.severity for one in found_by(LossScaleFalling(), make_run(terms, events=events))
        ]

    assert severities(range(0, N, 4)) == [Severity.WARNING]
    assert severities(range(0, N, 50)) == [Severity.NOTE]
    assert severities(range(10)) == []


def test_the_norm_after_clipping_is_not_reported_besides() -> None:
    """It breaks with the one before; alone it is told."""
    norm = decay(RNG, 5, 1)
    norm[50::10] = np.nan
    terms = {"a": decay(RNG, 7, 2)}
    found = found_by(NonfiniteGradient(), watched(terms, grad_norm=norm, grad_norm_used=norm))
    assert [one.terms for one in found] == [("grad_norm",)]
    fine = np.ones(N)
    found = found_by(NonfiniteGradient(), watched(terms, grad_norm=fine, grad_norm_used=norm))
    assert [one.terms for one in found] == [("grad_norm_used",)]
