"""Intervals that know autocorrelation: coverage, bounds, and quantiles of Student's t."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poise.doctor.intervals import _t975, mean_interval, path_interval

values = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e3, 1e3))


def chain(rng: np.random.Generator, count: int, rho: float) -> np.ndarray:
    """A first-order autoregressive series of mean 0 and variance 1."""
    x = rng.standard_normal(count)
    for k in range(1, count):
        x[k] = rho * x[k - 1] + (1 - rho**2) ** 0.5 * x[k]
    return x


def covered(rho: float, count: int, draws: int = 600) -> float:
    """How often the interval holds the true mean."""
    rng = np.random.default_rng(0)
    found = [mean_interval(chain(rng, count, rho)) for _ in range(draws)]
    return float(np.mean([one.low <= 0 <= one.high for one in found]))


@pytest.mark.parametrize(("rho", "count"), [(0.0, 20), (0.0, 60), (0.5, 40), (0.8, 80), (-0.5, 30)])
def test_coverage(rho: float, count: int) -> None:
    """Near 95%; the plain standard error covers 72% at rho 0.5 and 43% at 0.8."""
    assert covered(rho, count) > 0.85


@pytest.mark.parametrize("rise", [0.0, 2.0, 10.0])
@pytest.mark.parametrize("count", [10, 18])
def test_coverage_of_a_path(rise: float, count: int) -> None:
    """Near 95% around the mean of a flat or drifting path; more when it is steep."""
    rng = np.random.default_rng(0)
    path = np.linspace(-rise / 2, rise / 2, count)
    found = [path_interval(path + rng.standard_normal(count)) for _ in range(600)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) > 0.92


def test_a_drift_is_no_noise() -> None:
    """Where the other interval sees two values, this one sees the mean of ten; noise widens it."""
    drift = np.linspace(-0.95, -0.55, 10)
    assert mean_interval(drift).high == np.inf
    assert path_interval(drift).high < -0.7
    noisy = drift + np.tile([0.3, -0.3], 5)
    assert path_interval(noisy).high > -0.5


def test_white_noise_is_worth_nearly_all_of_its_values() -> None:
    """The correction for autocorrelation costs little where there is none."""
    rng = np.random.default_rng(1)
    worth = [mean_interval(rng.standard_normal(40)).independent for _ in range(300)]
    assert np.median(worth) > 25


@given(values)
def test_bounds(x: np.ndarray) -> None:
    """The mean lies inside, and values are never worth more than they are."""
    one = mean_interval(x)
    assert one.low <= one.mean <= one.high
    assert 0 < one.independent <= one.size == len(x)


def test_few_values_say_nothing() -> None:
    """Three values, and any number that hardly changes sign, give no interval."""
    assert mean_interval(np.array([1.0, 2.0, 3.0])).high == np.inf
    assert mean_interval(np.linspace(-1, 1, 12)).low == -np.inf
    assert path_interval(np.array([1.0, 2.0, 3.0, 2.0, 1.0])).high == np.inf


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(3, 3.182446), (5, 2.570582), (10, 2.228139), (39, 2.022691)]
)
def test_quantiles(freedom: int, quantile: float) -> None:
    """Against tables of Student's t."""
    assert _t975(freedom) == pytest.approx(quantile, rel=0.01)
