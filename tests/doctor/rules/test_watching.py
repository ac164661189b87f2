"""What a watch says about its own measuring."""

import numpy as np

from poise.doctor import diagnose
from poise.doctor.finding import Severity
from poise.doctor.rules.watching import MeasuringFailed, TotalUnused, TotalWithoutGraph
from poise.run import Event
from tests.doctor.build_probes import fall, watched
from tests.doctor.rules_of import found_by

RNG = np.random.default_rng(0)
TERMS = {"a": fall(2, 1, RNG), "b": fall(2, 1, RNG)}


def event(name: str, step: int = 4) -> Event:
    """An event of a watch."""
    return Event(name=name, step=step, text="GraphError: backward a second time")


def test_measuring_that_failed_is_a_note() -> None:
    """With the first error; the diagnosis does not read as healthy and unwatched."""
    run = watched(TERMS, events=[event("probe-failed"), event("probe-failed", 8)])
    (one,) = found_by(MeasuringFailed(), run)
    assert one.severity is Severity.NOTE
    assert "GraphError" in one.summary
    assert "no gradient was measured" in one.summary
    assert one.evidence[0].value == 2
    assert not found_by(MeasuringFailed(), watched(TERMS, events=[event("stage")]))


def test_measuring_that_worked_at_other_places_is_said() -> None:
    """One probe failed, another did not."""
    run = watched(TERMS, shares={"a": 0.5, "b": 0.5}, events=[event("probe-failed")])
    (one,) = found_by(MeasuringFailed(), run)
    assert "no gradient was measured" not in one.summary


def test_detached_terms_are_a_warning() -> None:
    """Unless some totals had a graph: then it was an evaluation or a batch without terms."""
    (one,) = found_by(TotalWithoutGraph(), watched(TERMS, events=[event("no-graph")]))
    assert (one.severity, one.terms) == (Severity.WARNING, ("a", "b"))
    seen = watched(TERMS, shares={"a": 0.5, "b": 0.5}, events=[event("no-graph")])
    assert not found_by(TotalWithoutGraph(), seen)


def test_a_total_that_is_never_passed_backward_is_told() -> None:
    """Three times; once or twice a batch may be thrown away."""
    thrown = [event("total-unused", k) for k in (1, 2)]
    assert not found_by(TotalUnused(), watched(TERMS, events=thrown))
    (one,) = found_by(TotalUnused(), watched(TERMS, events=[*thrown, event("total-unused", 4)]))
    assert one.severity is Severity.WARNING


def test_a_watched_run_is_not_told_to_attach_a_watch() -> None:
    """What could not be checked says that the watch measured none of it."""
    outcome = diagnose(watched(TERMS, declared={"watch": {"every": 50, "ranks": 1}}))
    told = " ".join(need for one in outcome.not_checked for need in one.needs)
    assert "attach poise.Watch" not in told
    assert "the watch has measured none" in told
    assert "attach poise.Watch" in " ".join(
        need for one in diagnose(watched(TERMS)).not_checked for need in one.needs
    )
