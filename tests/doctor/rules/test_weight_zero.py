"""A term that is computed at every step and weighs nothing."""

import numpy as np

from poise.doctor.finding import Severity
from poise.doctor.rules.weight_zero import WeightZero
from poise.run import Run
from tests.doctor.build_probes import RECORDS, fall, watched
from tests.doctor.rules_of import found_by


def run(weight: float, *, later: float | None = None, **told: object) -> Run:
    """Two terms of which the second has the given weight, and another in the last records."""
    rng = np.random.default_rng(0)
    terms = {"ce": fall(3, 1, rng), "rdrop": fall(1, 0.5, rng)}
    history = np.full(RECORDS, weight)
    history[-20:] = weight if later is None else later
    told["weight_history"] = {"rdrop": history}
    return watched(terms, **told)  # type: ignore[arg-type]  # passed on


def test_a_term_without_weight_is_a_note() -> None:
    """It reaches parameters and trains none of them."""
    (one,) = found_by(WeightZero(), run(0.0))
    assert (one.severity, one.terms) == (Severity.NOTE, ("rdrop",))


def test_a_small_weight_a_monitor_and_a_metric_are_silent() -> None:
    """1e-6 is a weight, a late stage has one, a monitor is looked at, a metric trains nothing."""
    reach = {"ce": ("trunk.weight",), "rdrop": ()}
    monitor = run(0.0, declared={"roles": {"rdrop": "monitor"}})
    for one in (run(1e-6), run(0.0, later=0.1), monitor, run(0.0, reach=reach)):
        assert not found_by(WeightZero(), one)
