import numpy as np
import pytest

from poise.read.weights.approximate import approximate
from poise.read.weights.problem import pose


def test_fitted_weights_need_both_halves() -> None:
    """Weights that fit with a scatter count if both halves of the run give the same."""
    rng = np.random.default_rng(0)
    terms = rng.lognormal(0.0, 0.5, (400, 2))
    noisy = terms @ [1.0, 5.0] * rng.normal(1.0, 0.005, 400)
    found = approximate(pose(noisy, terms))
    assert not found.exact
    assert found.weights == (1.0, 5.0)
    turned = np.where(np.arange(400) < 200, noisy, terms @ [3.0, 1.0] * rng.normal(1, 0.005, 400))
    assert approximate(pose(turned, terms)).weights != (1.0, 5.0)


def test_a_term_far_larger_than_what_is_left_is_absent() -> None:
    """A divergence of 200 beside a remainder of 0.1 is not in the total."""
    rng = np.random.default_rng(1)
    recon, large = rng.uniform(0.5, 1.0, 200), rng.uniform(150, 250, 200)
    total = recon + rng.uniform(0.02, 0.2, 200)
    found = approximate(pose(total, np.column_stack([recon, large])))
    assert found.weights == (1.0, 0.0)
    assert found.remainder == pytest.approx(0.11, abs=0.03)


def test_numbers_that_have_nothing_in_common_give_no_weights() -> None:
    """If most of the total is unexplained, no term is said to be in it."""
    rng = np.random.default_rng(2)
    found = approximate(pose(rng.uniform(50, 90, 200), rng.uniform(0, 1, (200, 3))))
    assert found.weights == (None, None, None)
    assert "No weights" in found.why


def test_many_terms_with_an_unlogged_one_stay_fast_and_unexplained() -> None:
    """With a hundred terms a scatter is not fitted at all."""
    rng = np.random.default_rng(3)
    terms = rng.uniform(0.1, 5, (4000, 100))
    found = approximate(pose(terms.sum(axis=1) + rng.uniform(50, 90, 4000), terms))
    assert not found.exact
    assert found.remainder > 10
