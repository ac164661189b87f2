"""Gradients that are not finite while the value is."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.nonfinite_probe import TermGradientNonfinite
from poise.run import Event
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

TEXT = "the gradient of mass is not finite, first in SqrtBackward0 in 'decoder.norm'"


def test_the_gradient_goes_before_the_value() -> None:
    """The first place is named, and that the value was finite."""
    rng = np.random.default_rng(0)
    terms = {"ce": fall(2, 1, rng), "mass": fall(2, 1, rng)}
    shares = {"ce": 0.5, "mass": 0.5}
    event = Event(name="nonfinite-gradient", step=50, text=TEXT)
    (one,) = found_by(TermGradientNonfinite(), watched(terms, shares=shares, events=[event]))
    assert (one.severity, one.terms, one.steps[0]) == (Severity.ERROR, ("mass",), 50)
    assert "decoder.norm" in one.summary
    assert "while its value is" in one.summary
    assert not found_by(TermGradientNonfinite(), watched(terms, shares=shares))


def test_a_value_that_went_first_is_a_warning() -> None:
    """Then the value is the cause, and linked."""
    rng = np.random.default_rng(0)
    terms = {"ce": fall(2, 1, rng), "mass": np.full(200, np.nan)}
    event = Event(name="nonfinite-gradient", step=50, text=TEXT)
    run = watched(terms, shares={"ce": 0.5, "mass": 0.5}, events=[event])
    (one,) = found_by(TermGradientNonfinite(), run)
    assert one.severity is Severity.WARNING
    assert "nonfinite-term" in one.caused_by


def test_terms_that_break_later_are_named_under_the_first() -> None:
    """Their own values are not finite by then: consequences, not findings of their own."""
    rng = np.random.default_rng(0)
    terms = {"ce": fall(2, 1, rng), "mass": fall(2, 1, rng)}
    for values in terms.values():
        values[51:] = np.nan
    events = [
        Event(name="nonfinite-gradient", step=50, text=TEXT),
        Event(name="nonfinite-gradient", step=60, text=TEXT.replace("mass", "ce")),
    ]
    run = watched(terms, shares={"ce": 0.5, "mass": 0.5}, events=events)
    (one,) = found_by(TermGradientNonfinite(), run)
    assert one.terms == ("mass",)
    assert "'ce' follow" in one.summary
