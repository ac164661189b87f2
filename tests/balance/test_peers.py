"""Tests for poise.balance.peers."""

import pytest
import torch
import torchjd.aggregation as aggregation
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from poise.balance import peers


def matrix(seed: int, count: int = 4) -> Tensor:
    """Inner products of random gradients."""
    rows = torch.randn(count, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rows @ rows.T


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_factor_has_the_products(seed: int, count: int) -> None:
    """Rows with the inner products that were given."""
    products = matrix(seed, count)
    rows = peers.factor(products)
    torch.testing.assert_close(rows @ rows.T, products, rtol=1e-9, atol=1e-9)


def test_factor_of_equal_gradients() -> None:
    """Singular products have a factor, too."""
    rows = peers.factor(torch.ones(3, 3, dtype=torch.float64))
    torch.testing.assert_close(rows @ rows.T, torch.ones(3, 3, dtype=torch.float64))


def test_cosines_keep_a_millionfold_ratio() -> None:
    """Lengths go out whole, and the cosines are those of the unscaled gradients."""
    products = matrix(0)
    scale = torch.tensor([1.0, 1e-6, 1e3, 1.0], dtype=torch.float64)
    unit, lengths = peers.cosines(products * scale[:, None] * scale)
    expected, plain = peers.cosines(products)
    torch.testing.assert_close(unit, expected, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(lengths, plain * scale, rtol=1e-12, atol=0)


@pytest.mark.parametrize("seed", range(5))
def test_what_solvers_leave_is_far_below_the_limit(seed: int) -> None:
    """On easy products the equations hold a hundred times better than is demanded."""
    products = matrix(seed) / matrix(seed).trace()
    with peers.calm():
        nash = peers.nash(4, {}).weigh(products)
    fair = peers.fair(4, {"alpha": 1.0}).weigh(products)
    assert peers.bargain(nash, products, {}) < peers.OFF / 100
    assert peers.fairness(fair, products, {"alpha": 1.0}) < peers.OFF / 100


@pytest.mark.parametrize("limit", [0.0, 1.0])
@pytest.mark.parametrize("seed", [11, 19])
def test_nash_answers_where_torchjd_gives_up(limit: float, seed: int) -> None:
    """Two gradients at a cosine of -0.97: TorchJD's answer misses the bargain without a word."""
    rows = torch.randn(4, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    unit = rows / rows.norm(dim=1, keepdim=True)
    unit[0] = -0.97 * unit[1] + (1 - 0.97**2) ** 0.5 * unit[0]
    products, _ = peers.cosines(unit @ unit.T)
    products = products / 4
    with peers.calm():
        alone = aggregation.NashMTL(4, max_norm=limit).weighting(peers.factor(products))
        weights = peers.nash(4, {"max_norm": limit}).weigh(products)
    assert peers.bargain(alone, products, {}) > 0.1
    assert peers.bargain(weights, products, {}) < peers.OFF / 100
    size = float((weights @ products @ weights).sqrt())
    assert size == pytest.approx(limit or 2.0)  # the root of the number of terms


def test_imtl_g_never_climbs() -> None:
    """Where the weights that sum to 1 climb for every term, their negatives are taken."""
    for seed in range(200):
        rows = (
            torch.randn(4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            * torch.tensor([1.0, 0.02, 5.0, 1.0], dtype=torch.float64)[:, None]
        )
        weights = peers.impartial(4, {}).weigh(rows @ rows.T)
        assert float((rows @ (weights @ rows)).min()) > 0
        if float(weights.sum()) < 0:
            return
    pytest.fail("no case in which the sign mattered")
