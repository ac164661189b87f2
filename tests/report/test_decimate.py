"""Decimation keeps what matters and invents nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poise.report.decimate import decimate, gaps
from poise.run import Floats, Ints

VALUES = st.lists(
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from([np.nan, np.inf, -np.inf]),
    ),
    max_size=300,
)


def _series(values: list[float]) -> tuple[Ints, Floats]:
    return np.arange(len(values), dtype=np.int64) * 3, np.array(values, dtype=np.float64)


@settings(deadline=None)
@given(VALUES, st.integers(4, 80))
def test_kept_points_are_points_of_the_series(values: list[float], budget: int) -> None:
    """Every kept point is an original one, in order, once, and there are not too many."""
    steps, points = _series(values)
    kept_steps, kept = decimate(steps, points, budget)
    assert (np.diff(kept_steps) > 0).all()
    np.testing.assert_array_equal(points[kept_steps // 3], kept)
    assert np.isfinite(kept).sum() <= budget
    assert len(kept) <= max(budget + 2 * max(budget // 4, 1), budget)


@settings(deadline=None)
@given(VALUES, st.integers(4, 80))
def test_ends_and_extremes_stay(values: list[float], budget: int) -> None:
    """First, last, smallest and largest finite value survive any budget."""
    steps, points = _series(values)
    _, kept = decimate(steps, points, budget)
    finite, left = points[np.isfinite(points)], kept[np.isfinite(kept)]
    if finite.size:
        assert (left[0], left[-1]) == (finite[0], finite[-1])
        assert (left.min(), left.max()) == (finite.min(), finite.max())


@settings(deadline=None)
@given(VALUES, st.integers(4, 80))
def test_every_bucket_keeps_its_extremes(values: list[float], budget: int) -> None:
    """No value lies outside the kept ones that surround it by more than its bucket allows."""
    steps, points = _series(values)
    rows = np.flatnonzero(np.isfinite(points))
    kept_steps, _ = decimate(steps, points, budget)
    if len(points) <= budget or len(rows) <= budget:
        assert np.isin(steps[rows], kept_steps).all()
        return
    width = -(-len(rows) // max((budget - 2) // 2, 1))
    for begin in range(0, len(rows), width):
        bucket = rows[begin : begin + width]
        inside = points[bucket[np.isin(steps[bucket], kept_steps)]]
        assert inside.min() == points[bucket].min()
        assert inside.max() == points[bucket].max()


@settings(deadline=None)
@given(VALUES, st.integers(1, 20))
def test_gaps_cover_and_count_every_non_finite_value(values: list[float], limit: int) -> None:
    """Stretches are few, apart, begin and end in non-finite values, and lose none."""
    steps, points = _series(values)
    found = gaps(steps, points, limit)
    assert len(found) <= limit
    covered = np.zeros(len(points), dtype=bool)
    for one in found:
        inside = (steps >= one.first) & (steps <= one.last)
        assert not (covered & inside).any()
        covered |= inside
        assert not np.isfinite(points[[one.first // 3, one.last // 3]]).any()
        assert one.nan == np.isnan(points[inside]).sum()
        assert one.high == (points[inside] == np.inf).sum()
        assert one.low == (points[inside] == -np.inf).sum()
    assert covered[~np.isfinite(points)].all()


@given(VALUES)
def test_runs_of_non_finite_values_keep_their_ends(values: list[float]) -> None:
    """With room for all runs, each non-finite value lies in a run whose ends are kept."""
    steps, points = _series(values)
    budget = 4 * max(len(gaps(steps, points, 1000)), 1)
    if len(points) <= budget:
        return
    kept_steps, kept = decimate(steps, points, budget)
    for one in gaps(steps, points, budget // 4):
        ends = np.isin([one.first, one.last], kept_steps)
        assert ends.all()
        assert not np.isfinite(kept[np.isin(kept_steps, [one.first, one.last])]).any()


def test_a_single_nan_in_a_million_survives() -> None:
    """One NaN among a million values is kept at its exact step."""
    values = np.sin(np.arange(1_000_000) / 1000)
    values[654_321] = np.nan
    steps, kept = decimate(np.arange(1_000_000), values, 100)
    assert steps[np.isnan(kept)].tolist() == [654_321]


def test_nearby_runs_are_taken_together_first() -> None:
    """Of three runs and two places, the two closest to each other become one."""
    values = np.ones(100)
    values[[10, 50, 53]] = np.nan
    found = gaps(np.arange(100), values, 2)
    assert [(one.first, one.last, one.nan) for one in found] == [(10, 10, 1), (50, 53, 2)]


@pytest.mark.parametrize("size", [0, 1, 3])
def test_short_series_come_back_unchanged(size: int) -> None:
    """A series within its budget is not touched, not even an empty one."""
    steps, values = decimate(np.arange(size), np.full(size, np.nan), 4)
    assert len(steps) == len(values) == size
