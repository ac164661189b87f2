"""The moving-block bootstrap knows autocorrelation and no trend."""

import numpy as np
import pytest

from poise.comparing.resample import block_length, detrended, standard_error, thinned


def chain(rho: float, size: int, seed: int) -> np.ndarray:
    """A first-order chain with unit variance."""
    draws = np.random.default_rng(seed).normal(size=size)
    values = np.empty(size)
    values[0] = draws[0]
    for k in range(1, size):
        values[k] = rho * values[k - 1] + (1 - rho**2) ** 0.5 * draws[k]
    return values


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_the_error_is_that_of_independent_draws(rho: float) -> None:
    """On chains the error matches the spread of the means of fresh chains within a third."""
    chains = [chain(rho, 300, seed) for seed in range(120)]
    true = float(np.std([one.mean() for one in chains]))
    told = float(np.mean([standard_error(one) for one in chains[:40]]))
    assert 0.67 * true < told < 1.35 * true


def test_blocks_follow_the_autocorrelation() -> None:
    """What resembles its neighbours is drawn in longer blocks."""
    short = np.mean([block_length(chain(0.0, 400, seed)) for seed in range(20)])
    long = np.mean([block_length(chain(0.9, 400, seed)) for seed in range(20)])
    assert short < 5
    assert long > 3 * short


def test_a_trend_is_no_noise() -> None:
    """A straight line has no error, whatever its slope."""
    assert standard_error(np.arange(50.0)) == pytest.approx(0.0, abs=1e-9)
    assert np.abs(detrended(3.0 - 2.0 * np.arange(9.0))).max() < 1e-12


def test_the_same_values_get_the_same_error() -> None:
    """The bootstrap draws the same blocks every time."""
    values = chain(0.3, 100, 0)
    assert standard_error(values) == standard_error(values.copy())


def test_too_few_values_have_no_error() -> None:
    """Two values say nothing about their scatter."""
    assert standard_error(np.array([1.0, 2.0])) == 0.0


def test_long_series_are_averaged_first() -> None:
    """No more than the most are resampled, and their mean stays."""
    values = np.arange(100_000.0)
    assert len(thinned(values)) == 1000
    assert thinned(values).mean() == values.mean()
