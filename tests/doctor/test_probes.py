"""What rules ask of the probes of a watched run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.doctor.case import Case
from poise.doctor.probes import (
    WINDOW,
    at,
    fallen,
    held_back,
    scale_free,
    shared_modules,
    shares,
    windows,
)
from tests.doctor.build import make_run
from tests.doctor.build_probes import SGD, fall, watched


@given(st.integers(0, 500))
def test_windows_cover_every_probe_once(count: int) -> None:
    """None is left out or counted twice, and none is shorter than ten if there are ten."""
    found = windows(count)
    assert [k for one in found for k in range(one.start, one.stop)] == list(range(count))
    assert all(one.stop - one.start >= min(count, WINDOW) for one in found)


def case(**more: object) -> Case:
    """A term that falls and one that stands still, with shares."""
    rng = np.random.default_rng(0)
    terms = {"a": fall(2, 0.5, rng), "b": fall(4, 4, rng)}
    return Case(watched(terms, shares={"a": [0.9, 0.8, 0.7], "b": [0.1, 0.2, 0.3]}, **more))  # type: ignore[arg-type]  # passed on


def test_shares_at_a_place() -> None:
    """One row a probe, one column a term, and the modules in words."""
    place = shares(case())
    assert place is not None
    assert place.names == ("a", "b")
    assert place.median("b") == pytest.approx(0.2)
    assert at(case(), place, "b") == "at the shared parameters ('trunk')"
    assert shared_modules(case(), "a") == ("trunk",)
    forked = case(wheres=("fork:z",))
    found = shares(forked)
    assert found is not None
    assert at(forked, found, "b") == "at the fork 'z'"


def test_runs_without_probes_have_none() -> None:
    """A foreign log has no shares and no optimizer."""
    plain = Case(make_run({"a": np.ones(30)}))
    assert shares(plain) is None
    assert not scale_free(plain)


def test_who_is_held_back() -> None:
    """The term that stands still while the other falls."""
    assert held_back(case(), "b")
    assert not held_back(case(), "a")
    assert fallen(case(), "a") == pytest.approx(0.75, abs=0.05)


def test_only_adam_is_scale_free() -> None:
    """By the class that the run declares."""
    assert scale_free(case())
    assert not scale_free(case(optimizers=SGD))
