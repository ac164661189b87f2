"""The interval of a difference holds what it promises."""

import numpy as np
import pytest
from scipy import stats

from poise.comparing.course import Course
from poise.comparing.spread import FITTED, Side, difference, shown, side
from poise.comparing.spread import allowance as expected
from tests.comparing.build import course, falling


def allowance(one: Course, end: float) -> float:
    """The spread between seeds that a run lets expect."""
    return expected(shown(one, end))


def seeds(values: list[float], allowed: float = 0.1) -> Side:
    """A side of runs that each let expect the same spread."""
    return Side(np.array(values), 0.0, np.full(len(values), allowed))


def test_several_seeds_moderate_their_variance() -> None:
    """The oracle is a sum of squares with `freedom` more, each the expected variance."""
    one, two = [1.0, 1.2, 0.9, 1.1], [1.6, 1.9, 1.4]
    found = difference(seeds(one), seeds(two), 1)
    freedom = FITTED.freedom + 5
    squares = 3 * np.var(one, ddof=1) + 2 * np.var(two, ddof=1)
    spread = np.sqrt((FITTED.freedom * 0.1**2 + squares) / freedom * (1 / 4 + 1 / 3))
    assert found.measured
    assert found.spread == pytest.approx(spread)
    assert found.half == pytest.approx(stats.t.ppf(0.975, freedom) * spread)


def test_many_seeds_outweigh_what_single_runs_show() -> None:
    """With 200 seeds a side the interval is that of Student's test, whatever was expected."""
    rng = np.random.default_rng(3)
    one, two = rng.normal(size=200), rng.normal(size=200)
    found = difference(seeds(list(one), 0.2), seeds(list(two), 3.0), 1)
    low, high = stats.ttest_ind(two, one).confidence_interval(0.95)
    assert found.value == pytest.approx((low + high) / 2)
    assert found.half == pytest.approx((high - low) / 2, rel=0.02)


def test_seeds_that_agree_by_chance_are_not_trusted() -> None:
    """Three equal values a side do not make a difference of a hundredth sure."""
    found = difference(seeds([1.0] * 3), seeds([1.01] * 3), 1)
    assert found.half > 0.01


def test_a_pair_rests_on_what_both_runs_show() -> None:
    """Their expectations are averaged in the logarithm: one of them may be far off."""
    found = difference(seeds([2.0], 0.01), seeds([1.0], 1.0), 1)
    assert not found.measured
    assert found.spread == pytest.approx(0.1 * 2**0.5)


def test_a_constant_side_does_not_make_the_other_one_sure() -> None:
    """A spread of zero has no logarithm, and a single value that never moves is no proof."""
    found = difference(seeds([0.0], 0.0), seeds([0.05], 0.1), 1)
    assert found.half > 0.05


def test_more_quantities_need_more_evidence() -> None:
    """The interval holds for all quantities together."""
    one, two = seeds([1.0, 1.1, 1.2]), seeds([1.1, 1.2, 1.4])
    assert difference(one, two, 5).half > difference(one, two, 1).half


def test_a_run_that_still_moves_may_be_ahead_by_luck() -> None:
    """The faster it falls at the end, the more another seed may differ, up to a share of it."""
    still, slow, steep = (
        allowance(course(np.linspace(2.0 + fall, 2.0, 101)), 100.0) for fall in (0.0, 0.2, 8.0)
    )
    assert still < slow < steep
    assert steep == pytest.approx(FITTED.most * 3.0, rel=0.05)


def test_what_the_course_did_long_ago_is_no_luck() -> None:
    """A steep fall that ended before the last half does not widen the interval."""
    early = course(falling(9.0, 1.0, pace=5.0))
    assert allowance(early, 199.0) == pytest.approx(allowance(course(np.ones(200)), 199.0), rel=0.1)


@pytest.mark.parametrize("count", [4, 8])
def test_averages_and_single_batches_let_expect_the_same(count: int) -> None:
    """A log of means over several updates has lost scatter that another seed has not."""
    rng = np.random.default_rng(2)
    values = 1.0 + 0.1 * rng.normal(size=3200)
    batches = course(values)
    means = course(values.reshape(-1, count).mean(axis=1))
    means = type(means)(
        at=count * means.at, values=means.values, steps=count * means.steps, updates=True
    )
    whole = allowance(batches, 3199.0)
    assert allowance(means, float(means.at[-1])) == pytest.approx(whole, rel=0.3)


def test_an_evaluation_shows_no_batches() -> None:
    """A smooth curve of means says nothing of its seeds: a share of the level stands for them."""
    values = np.full(40, 2.0)
    assert allowance(course(values, updates=False), 39.0) == pytest.approx(FITTED.smooth * 2.0)
    assert allowance(course(values), 39.0) < FITTED.smooth


def test_only_positive_quantities_have_a_share_of_their_level() -> None:
    """A value that passes through zero may scatter by more than it is."""
    noise = np.random.default_rng(0).normal(size=200)
    assert allowance(course(noise), 199.0) > 0.2
    assert FITTED.most * abs(noise[150:].mean()) < 0.2


def test_the_noise_within_seeds_is_the_least_spread() -> None:
    """Runs that scatter are no surer than their own noise."""
    rng = np.random.default_rng(0)
    one, two = (side([course(1.0 + rng.normal(size=80))], 79.0) for _ in range(2))
    assert difference(one, two, 1).half > 2 * np.hypot(one.noise, two.noise)


def test_three_seeds_a_side_keep_their_error_rate() -> None:
    """Where runs let expect what seeds do, sides drawn alike differ in about 5% of 2000 draws."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(2000):
        sides = (seeds(list(rng.normal(size=3)), 1.0) for _ in range(2))
        found = difference(*sides, 1)
        wrong += abs(found.value) > found.half
    assert 0.01 < wrong / 2000 < 0.06
