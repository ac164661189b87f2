"""Tests for poise.balance.kept: what is handed in and taken back is what TorchJD would remember."""

from typing import Any

import pytest
import torch
import torchjd.aggregation as peers
from torch import Tensor

from poise.balance.dice import seeded
from poise.balance.method import Method
from tests.contracts.balancers import step, vectors, weights

NAMES = ("a", "b", "c")


def products(seed: int) -> Tensor:
    """Inner products of the gradients of a step, with unit trace."""
    matrix = torch.stack(list(vectors(seed).values()))
    return matrix @ matrix.T / matrix.square().sum()


def excess(weighting: Any) -> Any:  # noqa: ANN401 -- an object of TorchJD
    """ExcessMTL is fed the norms."""
    return lambda given: weighting(given.diagonal().sqrt()[:, None])


OURS = {
    "gradvac": lambda: peers.GradVacWeighting(eps=1e-12),
    "pcd": peers.PCDWeighting,
    "excess": lambda: excess(peers.ExcessMTLWeighting()),
    "cr_mogm": lambda: peers.CRMOGMWeighting(peers.MGDAWeighting()),
}


@pytest.mark.parametrize("name", OURS)
def test_thirty_steps_are_those_of_one_object(name: str) -> None:
    """An object of TorchJD that lives through all steps gives the same weights."""
    balancer, peer = Method(name, NAMES, seed=5), OURS[name]()
    before = torch.get_rng_state()
    torch.set_rng_state(seeded(5))
    for seed in range(30):
        expected = peer(products(seed))
        step(balancer, vectors(seed))
        torch.testing.assert_close(weights(balancer), expected, rtol=1e-7, atol=1e-10)
    torch.set_rng_state(before)


def test_nash_starts_from_its_last_answer() -> None:
    """The memory is the answer of the step before, at unit length."""
    balancer = Method("nash", NAMES, max_norm=0.0)
    step(balancer, vectors(0))
    lengths = products(0).diagonal().sqrt()
    kept = balancer.rule.get_buffer("kept_alpha")
    torch.testing.assert_close(kept, weights(balancer) * lengths, rtol=1e-9, atol=0)


def test_pcd_takes_a_late_term_as_it_is() -> None:
    """Its first norm is its mean norm, as if it had always been that large."""
    late = Method("pcd", NAMES)
    for seed in range(50):
        step(late, {name: vectors(seed)[name] for name in ("a", "b")})
    step(late, vectors(50))
    squares = late.rule.get_buffer("kept_squares")
    assert float(squares[2]) == pytest.approx(float(products(50)[2, 2]))
