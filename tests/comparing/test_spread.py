"""The interval of a difference holds what it promises."""

import numpy as np
import pytest
from scipy import stats

from poise.comparing.spread import Side, difference, side, swing
from tests.comparing.build import course, falling


def seeds(values: list[float]) -> Side:
    """A side of several runs without noise within them."""
    return Side(np.array(values), 0.0, 0.0)


def test_several_seeds_are_judged_by_welch() -> None:
    """The interval is that of scipy's Welch test."""
    one, two = [1.0, 1.2, 0.9, 1.1], [1.6, 1.9, 1.4]
    found = difference(seeds(one), seeds(two), 1)
    low, high = stats.ttest_ind(two, one, equal_var=False).confidence_interval(0.95)
    assert found.measured
    assert found.value - found.half == pytest.approx(low)
    assert found.value + found.half == pytest.approx(high)


def test_one_run_borrows_the_spread_of_the_other_side() -> None:
    """One run against three: the prediction interval of the three."""
    three = [1.0, 1.2, 1.1]
    found = difference(seeds(three), seeds([2.0]), 1)
    half = stats.t.ppf(0.975, 2) * np.std(three, ddof=1) * (1 + 1 / 3) ** 0.5
    assert found.half == pytest.approx(half)


def test_more_quantities_need_more_evidence() -> None:
    """The interval holds for all quantities together."""
    one, two = seeds([1.0, 1.1, 1.2]), seeds([1.1, 1.2, 1.4])
    assert difference(one, two, 5).half > difference(one, two, 1).half


def test_a_pair_that_stands_still_may_differ_by_its_level() -> None:
    """Without several seeds a twentieth of the level is one standard deviation."""
    found = difference(seeds([2.0]), seeds([2.0]), 1)
    assert not found.measured
    assert found.spread == pytest.approx(0.1 * 2**0.5)
    assert found.half == pytest.approx(1.959964 * 0.1 * 2**0.5, rel=1e-5)


def test_a_fall_in_the_second_half_is_allowed_for() -> None:
    """A run that still falls may be ahead or behind by what it fell."""
    line = course(np.linspace(2.0, 1.0, 101))
    assert swing(line, 100.0) == pytest.approx(0.4375, abs=0.02)
    assert swing(course(falling(2.0, 1.0, pace=5.0)), 199.0) < 1e-6


def test_the_noise_within_seeds_is_the_least_spread() -> None:
    """Seeds that agree by chance are no surer than their own noise."""
    rng = np.random.default_rng(0)
    sides = [[course(1.0 + rng.normal(size=80))] for _ in range(2)]
    one, two = side(sides[0], 79.0), side(sides[1], 79.0)
    same = Side(np.array([1.0, 1.0]), one.noise, 0.0), Side(np.array([1.0, 1.0]), two.noise, 0.0)
    assert difference(*same, 1).half > 4 * np.hypot(one.noise, two.noise) * 0.99


def test_three_seeds_a_side_keep_their_error_rate() -> None:
    """Sides drawn alike are called different in about 5% of 2000 draws, never much more."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(2000):
        found = difference(seeds(list(rng.normal(size=3))), seeds(list(rng.normal(size=3))), 1)
        wrong += abs(found.value) > found.half
    assert wrong / 2000 < 0.06
