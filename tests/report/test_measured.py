"""What probes measured is summed up as independent arithmetic on the gradients sums it up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.report.measured import measured, ordered, place_words, share_trends, trend
from poise.run import Run
from tests.report.builders import sick_run
from tests.report.probed import PROBES, TERMS, gradients, probed_run


def test_terms_come_as_declared() -> None:
    """The order of the record's declaration holds, not that of appearance; the rest follows."""
    run = probed_run()
    assert run.terms == ("reg", "cls", "aux")
    assert ordered(run) == TERMS
    assert ordered(sick_run()) == ("quality", "physics", "kinetic")


def test_a_run_without_probes_has_nothing_measured() -> None:
    """A foreign log is not given numbers that nobody measured."""
    assert measured(sick_run()) is None


@given(st.integers(0, 50))
def test_shares_and_cosines_are_those_of_the_gradients(seed: int) -> None:
    """Medians of shares and of the cosine to the sum of the others, from the gradients alone."""
    found = gradients(seed)
    told = measured(probed_run(found))
    assert told is not None
    shared, edge = told.places
    assert (shared.where, edge.where) == ("shared", "edge")
    assert (shared.probes, shared.steps) == (PROBES, (0, 70))
    norms = np.linalg.norm(found, axis=2)
    for k, name in enumerate(TERMS):
        rest = found.sum(axis=1) - found[:, k]
        cosine = (found[:, k] * rest).sum(axis=1) / norms[:, k] / np.linalg.norm(rest, axis=1)
        assert shared.cosine[name].median == pytest.approx(np.median(cosine), abs=1e-6)
        share = norms[:, k] / norms.sum(axis=1)
        assert shared.gradient[name].median == pytest.approx(np.median(share), rel=1e-9)
        assert shared.gradient[name].first == pytest.approx(np.median(share[:2]), rel=1e-9)
        assert shared.gradient[name].last == pytest.approx(np.median(share[-2:]), rel=1e-9)
    assert list(edge.gradient) == ["reg", "cls"]
    assert not edge.update


def test_a_zero_gradient_has_no_direction() -> None:
    """A term whose gradient is zero has share 0, no cosine, and disturbs no other's."""
    found = gradients()
    found[:, 2] = 0.0
    with np.errstate(invalid="ignore"):
        told = measured(probed_run(found))
    assert told is not None
    place = told.places[0]
    assert place.gradient["aux"].median == 0.0
    assert "aux" not in place.cosine
    assert place.cosine["cls"].median == pytest.approx(place.cosine["reg"].median)


def test_motion_is_by_module_and_groups_are_left_out() -> None:
    """Modules are told; that of a parameter group says the same again."""
    told = measured(probed_run())
    assert told is not None
    assert list(told.motion) == ["trunk.0"]
    assert told.motion["trunk.0"].median == pytest.approx(1.5e-3)


def test_value_shares_leave_out_where_a_term_is_not_logged() -> None:
    """A term that starts late is judged by the records that have it."""
    run = probed_run()
    train = run.train
    late = dict(train.series)
    one = late["aux"]
    late["aux"] = type(one)(
        name="aux", kind=one.kind, rows=one.rows[90:], values=np.full(10, 1e7), label="aux"
    )
    table = type(train)(
        split="train",
        grain="step",
        steps=train.steps,
        step_name="step",
        segments=train.segments,
        series=late,
    )
    assert share_trends(run, table)["aux"].count == 10
    assert share_trends(run, table)["aux"].median == pytest.approx(0.38, abs=0.02)


def test_places_in_words() -> None:
    """Shared modules are named; forks keep their name."""
    run = probed_run()
    assert place_words(run, "shared") == "at the shared parameters ('trunk.0')"
    assert place_words(run, "edge") == "at the last tensor that all terms share"
    assert place_words(run, "fork:z") == "at the fork 'z'"
    bare = Run(path=run.path, format="poise", tables=run.tables)
    assert place_words(bare, "shared") == "at the shared parameters"


def test_nothing_finite_is_no_trend() -> None:
    """NaN and infinity have no median."""
    assert trend(np.array([np.nan, np.inf])) is None
