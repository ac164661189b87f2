import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from poise.read.weights.solve import nearest, non_negative, simple, solve


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 40))
def test_non_negative_least_squares_agree_with_scipy(seed: int, count: int, rows: int) -> None:
    """The own active-set method finds the same minimum as an independent implementation."""
    rng = np.random.default_rng(seed)
    terms, total = rng.normal(size=(rows, count)), rng.normal(size=rows)
    own = non_negative(total, terms)
    _, best = nnls(terms, total)
    assert np.all(own >= 0)
    assert np.linalg.norm(total - terms @ own) <= best + 1e-6


def test_zero_and_twin_columns_are_not_known() -> None:
    """A silent term and two proportional ones get an infinite error, the others do not."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 2, (2, 50))
    terms = np.column_stack([a, np.zeros(50), b, 3 * b])
    found = solve(2 * a + b, terms, deviation=np.ones(50), noise=np.full(terms.shape, 1e-6))
    assert found.known.tolist() == [True, False, False, False]
    assert found.weights[0] == pytest.approx(2.0, abs=1e-4)


def test_twins_that_differ_by_rounding_only_are_not_known() -> None:
    """Differences that are nothing but rounding do not separate two columns."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(1, 2, 2000)
    terms = np.column_stack([np.round(truth, 2), np.round(truth + 1e-3, 2)])
    noise = np.full(terms.shape, 0.01 / np.sqrt(12))
    found = solve(np.round(truth, 2), terms, deviation=np.full(2000, 0.004), noise=noise)
    assert not found.known.any()


def test_rounding_of_a_small_term_does_not_shrink_its_weight() -> None:
    """Ordinary least squares pulls the weight of a coarsely printed term to zero; this does not."""
    rng = np.random.default_rng(4)
    truth = rng.uniform(0.0, 0.3, 4000)
    printed = np.round(truth, 1)
    noise = np.full((4000, 1), 0.1 / np.sqrt(12))
    found = solve(truth, printed[:, None], deviation=np.full(4000, 0.03), noise=noise)
    assert abs(found.weights[0] - 1.0) <= found.error[0]


@pytest.mark.parametrize(
    ("value", "error", "parts", "expected"),
    [
        (0.998, 0.01, 1, 1.0),
        (0.0003, 0.001, 1, 0.0),
        (0.0009, 0.0002, 1, 0.001),
        (44.9, 0.2, 1, 45.0),
        (0.1666, 0.001, 6, 1 / 6),
        (-0.2499, 0.001, 1, -0.25),
        (0.123456789, 0.0, 1, 0.123456789),
    ],
)
def test_simple_numbers(value: float, error: float, parts: int, expected: float) -> None:
    """The simplest number of the interval, and nothing outside it."""
    assert simple(value, error, parts) == expected


def test_unknown_weights_are_not_rounded() -> None:
    """Rounding what is not known would invent a number."""
    terms = np.zeros((5, 1))
    found = solve(np.ones(5), terms, deviation=np.ones(5), noise=np.full((5, 1), 0.1))
    assert nearest(found).tolist() == [0.0]
    assert not found.known[0]
