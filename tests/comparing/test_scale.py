"""A constant factor is a unit, a growing one is learning."""

import numpy as np
import pytest

from poise.comparing.course import Quantity
from poise.comparing.scale import constant_factor, start_factor
from tests.comparing.build import course, falling, noisy


def quantity(before: np.ndarray, after: np.ndarray) -> Quantity:
    """One term of one run a side."""
    return Quantity(
        name="ce",
        split="train",
        kind="term",
        sign=1,
        before=(course(before),),
        after=(course(after),),
        end=float(min(len(before), len(after)) - 1),
    )


@pytest.mark.parametrize("factor", [0.001, 0.98, 1.02, 105.0])
def test_the_same_values_in_another_unit(factor: float) -> None:
    """However small, a factor that holds at every record is seen."""
    values = noisy(falling(2.0, 1.0), 0)
    assert constant_factor(quantity(values, factor * values)) == pytest.approx(factor)


def test_another_seed_in_another_unit() -> None:
    """A factor of ten shows through other noise."""
    before, after = noisy(falling(2.0, 1.0), 0), 10 * noisy(falling(2.0, 1.0), 1)
    assert constant_factor(quantity(before, after)) == pytest.approx(10.0, rel=0.02)


def test_learning_is_no_factor() -> None:
    """A run that starts alike and ends at half is not rescaled, and does not start apart."""
    one = quantity(noisy(falling(2.0, 1.0), 0), noisy(falling(2.0, 0.5), 1))
    assert constant_factor(one) is None
    assert start_factor(one) is None


def test_identical_values_have_no_factor() -> None:
    """1 is no factor."""
    values = falling(2.0, 1.0)
    assert constant_factor(quantity(values, values)) is None


def test_a_start_apart_is_seen() -> None:
    """Three times higher before anything was learned."""
    one = quantity(noisy(falling(2.0, 1.0), 0), noisy(falling(6.0, 2.5), 1))
    assert start_factor(one) == pytest.approx(3.0, rel=0.05)


def test_values_that_are_not_positive_have_no_factor() -> None:
    """Nor have values that are not finite, or too few."""
    values = falling(2.0, -1.0)
    assert constant_factor(quantity(values, 2 * values)) is None
    assert start_factor(quantity(values, 2 * values)) is None
    assert constant_factor(quantity(np.ones(2), np.ones(2) * 2)) is None
