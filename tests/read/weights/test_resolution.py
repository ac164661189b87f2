import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poise.read.weights.resolution import quantum

numbers = st.floats(min_value=-1e6, max_value=1e6).filter(lambda one: abs(one) > 1e-6)


def test_significant_digits_keep_their_relative_step() -> None:
    """Four digits mean a step that grows with the number, also where trailing zeros are lost."""
    values = np.array([1.169, 76.49, 512.3, 1.1, 0.02345, 2.001, 33.41, 0.5432])
    expected = [0.001, 0.01, 0.1, 0.001, 0.00001, 0.001, 0.01, 0.0001]
    assert quantum(values) == pytest.approx(expected)


def test_fixed_decimals_hold_for_zero_and_for_round_numbers() -> None:
    """A column printed with three decimals can hide up to half a thousandth in its zeros."""
    assert quantum(np.array([0.0, 1.0, 0.123, 14.5, 2.001])).tolist() == [0.001] * 5


@pytest.mark.parametrize(("kind", "bits"), [(np.float16, 11), (np.float32, 24), (np.float64, 53)])
def test_full_precision_has_the_spacing_of_its_type(kind: type, bits: int) -> None:
    """Numbers that went through a float type are as fine as that type, not finer."""
    values = np.random.default_rng(1).uniform(1.0, 2.0, 300).astype(kind).astype(np.float64)
    assert quantum(values) == pytest.approx(np.full(300, 2.0 ** (1 - bits)))


def test_what_is_no_number_has_no_step() -> None:
    """NaN and infinity do not disturb the others."""
    values = np.array([np.nan, np.inf, 0.25, -0.75])
    assert quantum(values).tolist() == [0.0, 0.0, 0.01, 0.01]
    assert quantum(np.zeros(3)).tolist() == [0.0] * 3
    assert quantum(np.empty(0)).tolist() == []


def test_one_fine_number_does_not_refine_the_others() -> None:
    """A stray number of full precision keeps its own step and leaves the column's alone."""
    values = np.round(np.random.default_rng(2).uniform(0, 9, 200), 2)
    values[77] = np.pi
    steps = quantum(values)
    assert steps[77] < 1e-12
    assert set(np.delete(steps, 77).tolist()) == {0.01}


@given(st.lists(numbers, min_size=20, max_size=60, unique=True), st.integers(1, 6))
def test_rounding_to_decimals_errs_by_half_a_step_at_most(raw: list[float], places: int) -> None:
    """Whatever is printed with fixed decimals is within half a step of the truth."""
    # Every last digit that is not zero occurs, as in any longer log.
    truth = np.array([*raw, *(0.1**places * one for one in range(1, 10))])
    printed = np.array([float(f"{one:.{places}f}") for one in truth])
    assert np.all(np.abs(printed - truth) <= 0.5 * quantum(printed) * (1 + 1e-6) + 1e-10)


@given(st.integers(0, 10_000), st.integers(3, 6))
def test_rounding_to_digits_errs_by_half_a_step_at_most(seed: int, digits: int) -> None:
    """Whatever is printed with significant digits is within half a step of the truth."""
    rng = np.random.default_rng(seed)
    truth = 10.0 ** rng.uniform(-3, 3, 80)
    printed = np.array([float(f"{one:.{digits}g}") for one in truth])
    steps = quantum(printed)
    assert np.all(np.abs(printed - truth) <= 0.5 * steps * (1 + 1e-9))
    assert float(np.median(steps / printed)) <= 10.0 ** (1 - digits)
