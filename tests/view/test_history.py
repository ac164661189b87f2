"""A growing series in bounded memory, and its picture."""

import math

import pytest

from poise.view.history import ASCII, BINS, History, sparkline


def test_memory_is_bounded_and_nothing_is_left_out() -> None:
    """Every value counts in exactly one mean, whatever the length."""
    one = History()
    for value in range(100_000):
        one.add(float(value))
        assert len(one.means) < 2 * BINS
    assert len(one.means) >= BINS - 1
    width = one.means[1] - one.means[0]
    assert one.means[0] == pytest.approx((width - 1) / 2)
    assert all(b - a == width for a, b in zip(one.means, one.means[1:], strict=False))


def test_recent_and_last() -> None:
    """The recent value is the mean of the last 20; a NaN among them shows."""
    one = History()
    assert math.isnan(one.recent)
    for value in range(100):
        one.add(float(value))
    assert (one.last, one.recent) == (99.0, 89.5)
    one.add(math.nan)
    assert math.isnan(one.recent)


@pytest.mark.parametrize(
    ("values", "cells", "expected"),
    [
        ([], 5, ""),
        ([1.0], 5, "_"),
        ([1.0, 1.0], 5, "__"),
        ([0.0, 7.0], 5, "_@"),
        ([7.0, 0.0, math.inf, math.nan], 5, "@_!!"),
        ([math.nan], 5, "!"),
        ([-1.7e308, 1.7e308], 5, "_@"),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 8, ASCII),
    ],
)
def test_sparkline(values: list[float], cells: int, expected: str) -> None:
    """Lowest to highest; what is not finite has a sign of its own; nothing overflows."""
    assert sparkline(values, cells, ASCII) == expected


def test_a_long_line_is_averaged() -> None:
    """More values than cells: every cell is the mean of its stretch, none is left out."""
    assert sparkline([0.0] * 50 + [0.0, 9.0] * 25, 2, ASCII) == "_@"
    assert len(sparkline([1.0, 2.0] * 500, 24)) == 24
