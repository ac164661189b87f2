"""Losses that differentiate by their own argument: gradient penalties, residuals of equations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import poise
from poise.card.derives import derives
from poise.card.inspecting import OF_PREDICTIONS
from tests.card.subjects import normal

torch.manual_seed(0)
NET = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
SCALE = nn.Parameter(torch.ones(2))


def residual(t: Tensor) -> Tensor:
    """Of u' = -u, by autograd."""
    u = NET(t)
    (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
    return (du.sum(1, keepdim=True) + u).square().mean()


def functional(t: Tensor) -> Tensor:
    """The same derivative by torch.func."""
    slopes = torch.func.vmap(torch.func.grad(lambda x: NET(x).sum()))(t)
    return (slopes.sum(1, keepdim=True) + NET(t)).square().mean()


def own_leaf(t: Tensor) -> Tensor:
    """Asks for the gradient itself."""
    return residual(t.clone().requires_grad_())


class Penalty(nn.Module):
    """The gradient penalty of WGAN-GP, between real and generated samples."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, real: Tensor, made: Tensor) -> Tensor:
        """Mean squared distance of the slope's norm from 1."""
        mixed = torch.lerp(real, made, torch.rand(len(real), 1).to(real))
        (slope,) = torch.autograd.grad(self.critic(mixed).sum(), mixed, create_graph=True)
        return (slope.norm(dim=1) - 1).square().mean()


def broken(t: Tensor) -> Tensor:
    """Without create_graph nothing trains through the derivative."""
    (slope,) = torch.autograd.grad(NET(t).sum(), t)
    return slope.square().mean()


def normed(x: Tensor, y: Tensor) -> Tensor:
    """Divides by the norm of a gradient at parameters: a weight, no equation."""
    error = F.mse_loss(x * SCALE, y)
    (slope,) = torch.autograd.grad(error, SCALE, create_graph=True)
    return error / (slope.norm() + 1)


POINTS = (normal(8, 2),)
PAIR = (normal(8, 2), normal(8, 2, seed=1))
CASES: list[tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = [
    (residual, POINTS),
    (functional, POINTS),
    (own_leaf, POINTS),
    (Penalty(), PAIR),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_a_loss_that_differentiates_gets_a_clean_card(case: int) -> None:
    """Every call of every probe goes through; probes of predictions say why they did not run."""
    loss, example = CASES[case]
    card = poise.inspect(loss, example)
    assert card.clean, str(card)
    assert {one.rule for one in card.not_checked} >= {*OF_PREDICTIONS}
    assert {"inputs", "backward", "sizes", "determinism"} <= {*card.passed}
    assert card.slope("batch") == 0.0 or isinstance(loss, Penalty)  # which draws anew at each size


def test_it_is_the_same_whether_the_example_requires_a_gradient() -> None:
    """Training requires one; an example need not."""
    points = normal(8, 2)
    asked = points.clone().requires_grad_()
    assert str(poise.inspect(residual, (points,))) == str(poise.inspect(residual, (asked,)))
    assert asked.grad is None


def test_a_forgotten_create_graph_is_found() -> None:
    """The value follows the points, and no gradient does."""
    card = poise.inspect(broken, POINTS)
    (found,) = [one for one in card.findings if one.rule == "inspect-detached"]
    assert "create_graph" in found.cause


def test_a_gradient_at_parameters_is_no_equation() -> None:
    """Weights made from gradients leave all probes on."""
    assert not derives(normed, PAIR)
    card = poise.inspect(normed, PAIR)
    assert "inspect-weight" not in {one.rule for one in card.findings}
    assert "error size" not in {one.rule for one in card.not_checked}


def test_a_residual_of_unrelated_tensors_is_explained() -> None:
    """U and t of an example do not depend on each other, whatever they were made from."""

    def of_both(u: Tensor, t: Tensor) -> Tensor:
        (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        return (du + u).square().mean()

    points = normal(8, 2).requires_grad_()
    for example in ((NET(points), points), (NET(POINTS[0]), POINTS[0])):
        (found,) = poise.inspect(of_both, example).findings
        assert found.rule == "inspect-raises"
        assert "lambda t" in found.action


def test_the_second_argument_may_be_what_is_differentiated_by() -> None:
    """It requires a gradient at every call because it does in the example."""

    def energy(scale: Tensor, t: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad((scale * NET(t)).sum(), t, create_graph=True)
        return slope.square().mean()

    card = poise.inspect(energy, (normal(8, 1), normal(8, 2).requires_grad_()))
    assert "inspect-raises" not in {one.rule for one in card.findings}
    assert card.value > 0


def test_same_compares_residuals() -> None:
    """Two ways to write one derivative are one objective."""
    points = normal(6, 2).requires_grad_()
    assert poise.same(residual, functional, (points,)).verdict == "identical"
