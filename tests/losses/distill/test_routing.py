"""The router and the balance of its experts."""

import pytest
import torch

from poise.errors import LossError
from poise.losses.distill import Attended, Router, load_balance, routing_schedule
from tests.losses.distill.examples import normal, padded


def test_gates_choose_and_sum_up_to_one() -> None:
    """Exactly top_k experts get a weight; what is routed is their weighted sum."""
    torch.manual_seed(0)
    router = Router(8, 16, experts=4)
    experts = normal(4, 5, 4, 16)
    for top_k in (1, 3):
        router.top_k = top_k
        routing = router(normal(4, 5, 8), experts)
        assert ((routing.gates > 0).sum(dim=-1) == top_k).all()
        torch.testing.assert_close(routing.gates.sum(dim=-1), torch.ones(4, 5))
        expected = (routing.gates[..., None] * experts).sum(dim=2)
        torch.testing.assert_close(routing.routed, expected)


def test_a_low_temperature_decides() -> None:
    """Gates over all experts get more uneven as the temperature falls."""
    torch.manual_seed(0)
    router = Router(8, 16, experts=4)
    router.top_k = 4
    largest = []
    for temperature in (1.0, 0.1):
        router.temperature = temperature
        gates = router(normal(4, 5, 8), normal(4, 5, 4, 16)).gates.detach()
        largest.append(float(gates.max(dim=-1).values.mean()))
    assert largest[1] > largest[0] + 0.1


def test_every_parameter_is_trained() -> None:
    """Scorer, capacity, gate and projection all get a gradient."""
    torch.manual_seed(0)
    router = Router(8, 16, experts=4)
    router.top_k = 2
    routing = router(normal(4, 5, 8), normal(4, 5, 4, 16))
    (routing.routed.square().sum() + routing.projected.sum()).backward()
    assert all(one.grad is not None and one.grad.any() for one in router.parameters())


def test_balance_is_lowest_where_experts_are_used_alike() -> None:
    """1 when even, 4 when one of four takes all; padding does not count."""
    gates = torch.full((4, 5, 4), 0.25) + 1e-3 * normal(4, 5, 4)
    assert float(load_balance(gates)) == pytest.approx(1.0, abs=0.01)
    one = torch.eye(4)[torch.zeros(4, 5, dtype=torch.long)]
    one[0, 3:] = torch.eye(4)[1]
    assert float(load_balance(one, padded())) == 4.0
    assert float(load_balance(one)) < 4.0


def test_the_gradient_lowers_the_expert_that_is_chosen_too_often() -> None:
    """The gate of the busy expert has the largest gradient."""
    gates = torch.tensor([[[0.6, 0.4], [0.7, 0.3], [0.4, 0.6]]], requires_grad=True)
    load_balance(gates).backward()
    assert gates.grad is not None
    assert (gates.grad[..., 0] > gates.grad[..., 1]).all()


def test_schedule_of_the_router() -> None:
    """One expert in the warm-up, half of them at the end; never below 1, never above 4."""
    found = [routing_schedule(one / 10, 8) for one in range(11)]
    assert found[0] == (*found[1][:1], 1.0)
    assert [top for top, _ in found] == sorted(top for top, _ in found)
    assert routing_schedule(2.0, 64) == (4, 0.1)
    assert routing_schedule(1.0, 1) == (1, 0.1)
    with pytest.raises(LossError, match=r"expected progress of at least 0, got -0\.1"):
        routing_schedule(-0.1, 8)


def test_a_collapsed_compressor_makes_the_goal_of_attended_trivial() -> None:
    """The reason why the goal is to be detached."""
    attended = Attended(8, 16, heads=2)
    torch.nn.init.zeros_(attended.compress.weight)
    torch.nn.init.zeros_(attended.compress.bias)
    torch.nn.init.zeros_(attended.attend.in_proj_bias)
    torch.nn.init.zeros_(attended.attend.out_proj.bias)
    found, goal = attended(normal(4, 5, 8), normal(4, 5, 16))
    assert not (found - goal).any()


def test_what_does_not_fit_is_refused() -> None:
    """Other experts than the router has, or none."""
    with pytest.raises(LossError, match=r"\(batch, tokens, 4, features\), got \[4, 5, 3, 16\]"):
        Router(8, 16, experts=4)(normal(4, 5, 8), normal(4, 5, 3, 16))
    with pytest.raises(LossError, match="Router: expected experts of at least 1, got 0"):
        Router(8, 16, experts=0)
