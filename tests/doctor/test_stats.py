"""The robust statistics against plain definitions and their invariances."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poise.doctor.stats import (
    block_medians,
    ends,
    level_steps,
    line,
    median_mad,
    smooth,
    spikes,
    thin,
    trend,
)

values = hnp.arrays(np.float64, st.integers(1, 80), elements=st.floats(-1e6, 1e6))
holed = hnp.arrays(
    np.float64,
    st.integers(0, 80),
    elements=st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf])),
)


@given(values)
def test_median_and_scatter_follow_shift_and_scale(x: np.ndarray) -> None:
    """Shifting moves the median alone, scaling scales both."""
    middle, scatter = median_mad(x)
    moved, same = median_mad(2 * x + 8)
    assert np.isclose(moved, 2 * middle + 8, atol=1e-6)
    assert np.isclose(same, 2 * scatter, atol=1e-6)


def test_scatter_of_normal_values_is_their_standard_deviation() -> None:
    """The scaled median absolute deviation estimates sigma, outliers or not."""
    x = np.random.default_rng(0).normal(5, 2, 20_000)
    x[:1000] = 1e9
    middle, scatter = median_mad(x)
    assert abs(middle - 5) < 0.2
    assert abs(scatter - 2) < 0.2


def test_nothing_finite_has_no_median() -> None:
    """NaN in, NaN out, without a warning."""
    assert np.isnan(median_mad(np.array([np.nan, np.inf]))).all()


@given(holed, st.integers(1, 90), st.data())
@settings(deadline=None)
def test_blocks_are_the_medians_minima_and_maxima(
    x: np.ndarray, width: int, data: st.DataObject
) -> None:
    """Fast and slow paths agree with a plain loop, for full and for sparse rows."""
    gaps = data.draw(st.lists(st.integers(1, 3), min_size=len(x), max_size=len(x)))
    full = data.draw(st.booleans())
    rows = np.arange(len(x)) if full else np.cumsum(np.array(gaps, dtype=np.int64)) - 1
    got = block_medians(rows, x, width)
    kept = np.isfinite(x)
    expected = {b: x[kept][rows[kept] // width == b] for b in dict.fromkeys(rows[kept] // width)}
    assert got.number.tolist() == list(expected)
    for i, part in enumerate(expected.values()):
        assert np.isclose(got.mid[i], np.median(part))
        assert (got.low[i], got.high[i]) == (part.min(), part.max())


@given(values)
def test_ends_do_not_depend_on_what_lies_between(x: np.ndarray) -> None:
    """Only the first and the last tenth count, and at least three values each."""
    n = max(min(3, len(x)), len(x) // 10)
    assert ends(x) == (np.median(x[:n]), np.median(x[-n:]))


@given(values, st.integers(1, 30))
def test_smoothing_keeps_length_and_range(x: np.ndarray, window: int) -> None:
    """A running median never leaves the range of the values."""
    y = smooth(x, window)
    assert y.shape == x.shape
    assert x.min() <= y.min()
    assert y.max() <= x.max()


def test_smoothing_removes_an_outlier_and_keeps_a_step() -> None:
    """What a running mean would smear stays sharp."""
    x = np.repeat([1.0, 5.0], 20)
    x[7] = 100.0
    assert smooth(x, 5).tolist() == [1.0] * 20 + [5.0] * 20


@given(hnp.arrays(np.int64, st.integers(0, 60), elements=st.integers(-5, 5)))
def test_trend_turns_its_sign_with_time(x: np.ndarray) -> None:
    """Reversed in time, a rise is a fall."""
    assert np.isclose(trend(x.astype(float)), -trend(x[::-1].astype(float)))


def test_trend_is_a_standard_score_on_noise() -> None:
    """On white noise the score has unit scale; on a weak ramp it is far out."""
    rng = np.random.default_rng(2)
    scores = [trend(rng.normal(size=60)) for _ in range(300)]
    assert 0.8 < np.std(scores) < 1.2
    assert trend(np.linspace(0, 2, 100) + rng.normal(size=100)) > 3


@given(values, st.integers(1, 20))
def test_thinning_gives_at_most_so_many(x: np.ndarray, most: int) -> None:
    """Never more blocks than asked for."""
    assert 1 <= len(thin(x, most)) <= most


def test_steps_are_found_where_they_are() -> None:
    """Two level changes under noise, at their very records."""
    rng = np.random.default_rng(3)
    x = np.repeat([1.0, 4.0, 2.0], 100) + rng.normal(0, 0.1, 300)
    assert [one.at for one in level_steps(x, 10)] == [100, 200]


def test_ramps_spikes_noise_and_short_series_are_no_steps() -> None:
    """What changes slowly, comes back or is scatter is not a step; nor is rounding."""
    rng = np.random.default_rng(4)
    flat = rng.normal(0, 1, 2000)
    spiky = flat.copy()
    spiky[[300, 900]] = 1e4
    ramp = np.concatenate([np.zeros(100), np.linspace(0, 50, 100), np.full(100, 50.0)])
    for x in (flat, spiky, ramp + rng.normal(0, 0.5, 300), np.exp(-np.arange(300) / 50), flat[:5]):
        assert level_steps(x, 10) == []


def test_spikes_need_ratio_and_distance() -> None:
    """A high value in heavy scatter and a small one in no scatter are no spikes."""
    rng = np.random.default_rng(5)
    x = np.exp(0.1 * rng.normal(size=400))
    x[200] = 30.0
    assert spikes(x, 21, ratio=10, sigmas=12).tolist() == [200]
    assert len(spikes(x, 21, ratio=50, sigmas=12)) == 0
    assert len(spikes(x[:5], 21, ratio=10, sigmas=12)) == 0


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_a_line_is_recovered(slope: float, offset: float) -> None:
    """Exact data give their slope and R² 1; constant data give 0."""
    x = np.arange(10.0)
    got = line(x, slope * x + offset)
    if abs(slope) > 1e-3:
        assert np.isclose(got.slope, slope)
        assert np.isclose(got.r2, 1)
    assert line(x, np.ones(10)) == (0.0, 0.0)
