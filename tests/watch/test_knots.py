"""Schedules as a few points."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.schedule import Cosine, Exponential, Gentle, Linear, Phases, Piecewise, sample
from poise.watch.knots import CLOSE, MOST, knots

SCHEDULES = (
    Linear(0.0, 0.5, start=300, stop=317),
    Cosine(2.0, 0.0, start=100, stop=900),
    Exponential(1e-4, 1.0, start=0, stop=500),
    Piecewise((0.0, 1.0, 0.25), steps=(137, 138)),
    Phases((0.0, 0.1, 0.5), fractions=(0.3, 0.6), total_steps=1000),
    Gentle(1.0, start=100, share=0.9),
    lambda step: 0.99**step,
    lambda step: float(step % 400) / 400,
)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=range(len(SCHEDULES)))
@pytest.mark.parametrize("stop", [1000, 999, 5000])
def test_the_line_is_the_schedule(schedule: Callable[[int], float], stop: int) -> None:
    """Between the points straight lines are within 1% at every step, jumps included."""
    found = knots(schedule, stop)
    assert found is not None
    steps, weights = np.array(found).T
    every = range(stop + 1)
    meant = sample(schedule, every)
    apart = np.abs(np.interp(every, steps, weights) - meant)
    assert apart.max() <= max(0.01, 2 * CLOSE) * np.abs(meant).max()
    assert (steps[0], steps[-1]) == (0, stop)
    assert np.all(np.diff(steps) > 0)
    assert len(found) <= MOST


def test_a_ramp_around_the_middle_of_an_interval_is_seen() -> None:
    """The line from 16 to 32 meets a ramp from 18 to 30 at its middle."""
    schedule = Linear(0.0, 0.05, start=18, stop=30)
    found = knots(schedule, 1024)
    assert found is not None
    steps, weights = np.array(found).T
    every = range(40)
    np.testing.assert_allclose(np.interp(every, steps, weights), sample(schedule, every), atol=4e-4)


@given(st.floats(-10, 10), st.integers(0, 10**6))
def test_a_constant_is_two_points(weight: float, stop: int) -> None:
    """Its first and its last step."""
    found = knots(lambda _: weight, stop)
    assert found == ([[0, weight], [stop, weight]] if stop else [[0, weight]])


@pytest.mark.parametrize("every", [2, 3, 7])
def test_what_points_cannot_tell_is_not_told(every: int) -> None:
    """A weight that is on at every second step would look like another one."""
    assert knots(lambda step: float(step % every == 0), 5000) is None


def test_a_function_may_end() -> None:
    """A list of weights is told as far as it goes, and nothing of a function that always fails."""
    weights = [0.0, 0.1, 0.2, 0.2]
    assert knots(lambda step: weights[step], 1000) == [[0, 0.0], [2, 0.2], [3, 0.2]]
    assert knots(lambda step: weights[step + 4], 1000) is None


def test_it_is_asked_for_few_steps() -> None:
    """However long the training is."""
    asked = []

    def weight(step: int) -> float:
        asked.append(step)
        return min(1.0, step / 333_333)

    assert knots(weight, 10**7) is not None
    assert len(asked) < MOST
