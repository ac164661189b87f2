"""Tests for poise.balance.gradnorm."""

import pytest
import torch
from torch import Tensor

from poise.balance.gradnorm import GradNorm, GradNormRule
from poise.balance.rule import Seen
from poise.errors import BalanceError, TermValueError
from tests.contracts.balancers import step, vectors

NAMES = ("a", "b", "c")


def seen(norms: list[float]) -> Seen:
    """Orthogonal gradients of these norms."""
    squares = torch.tensor(norms, dtype=torch.float64).square()
    return Seen(products=torch.diag(squares / squares.sum()), terms=NAMES, order=NAMES, step=0)


def loss_of(logits: Tensor, norms: Tensor, wanted: Tensor) -> Tensor:
    """GradNorm's loss of the weights as the paper writes it, with its target held constant."""
    sizes = 3 * logits.softmax(0) * norms
    target = (sizes.mean() * wanted).detach()
    return (sizes - target).abs().sum() / sizes.mean().detach()


def test_the_step_is_the_slope_of_the_paper_s_loss() -> None:
    """Closed form against automatic differentiation, over 30 steps with changing values."""
    rule = GradNormRule(NAMES, alpha=1.5, lr=0.05)
    generator = torch.Generator().manual_seed(0)
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    first = None
    for _ in range(30):
        norms = torch.rand(3, generator=generator, dtype=torch.float64) + 0.1
        values = torch.rand(3, generator=generator, dtype=torch.float64) + 0.1
        first = values if first is None else first
        graph = torch.ones((), requires_grad=True)
        rule.hear({name: one * graph for name, one in zip(NAMES, values, strict=True)})
        weights = rule(seen(norms.tolist()))
        torch.testing.assert_close(weights, 3 * logits.detach().softmax(0))
        ratios = values / first
        units = norms / norms.square().sum().sqrt()
        loss = loss_of(logits, units, (ratios / ratios.mean()) ** 1.5)
        (slope,) = torch.autograd.grad(loss, logits)
        logits = (logits - 0.05 * slope).detach().requires_grad_()
    torch.testing.assert_close(rule.logits, logits.detach())


def test_norms_become_equal() -> None:
    """With alpha=0, whatever the norms: a thousandfold ratio within 600 steps."""
    rule = GradNormRule(NAMES, alpha=0.0)
    norms = [1.0, 1000.0, 30.0]
    for _ in range(600):
        weights = rule(seen(norms))
    sizes = weights * torch.tensor(norms, dtype=torch.float64)
    assert float(sizes.max() / sizes.min()) < 1.2
    assert float(weights.sum()) == pytest.approx(3.0)
    assert float(weights.min()) > 0


def test_a_term_that_lags_behind_gets_more() -> None:
    """The value that has fallen least has the largest weighted norm."""
    balancer = GradNorm(NAMES, alpha=1.0, lr=0.02)
    gradients = {name: one / one.norm() for name, one in vectors(0).items()}
    for now in range(200):
        fallen = 0.5 if now else 1.0
        step(balancer, gradients, {"a": 1.0, "b": fallen, "c": fallen})
    assert balancer.weights["a"] > 1.5 * balancer.weights["b"]


def test_values_must_be_heard() -> None:
    """A total of the user's own leaves nothing to compare."""
    balancer = GradNorm(("a", "b"))
    parts = balancer.fork(torch.ones(2, requires_grad=True))
    with pytest.raises(BalanceError, match=r"value of term 'a' from balance.total\(terms\)"):
        (parts["a"].sum() + parts["b"].sum()).backward()


def test_values_must_be_positive() -> None:
    """Their ratio means nothing else."""
    balancer = GradNorm(NAMES)
    with pytest.raises(TermValueError, match=r"positive values.*got -1 for term 'b'; take alpha=0"):
        step(balancer, vectors(0), {"a": 1.0, "b": -1.0, "c": 1.0})


def test_an_evaluation_is_not_heard() -> None:
    """Totals without a graph leave the values of the step alone."""
    rule = GradNormRule(NAMES)
    rule.hear({"a": torch.ones(())})
    assert rule.count.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"alpha": -1.0}, "alpha to be a finite number of at least 0, got -1.0"),
        ({"lr": 0.0}, "lr to be a finite number above 0, got 0.0"),
    ],
)
def test_options_are_checked(options: dict[str, float], told: str) -> None:
    """By name, when the balancer is made."""
    with pytest.raises(BalanceError, match=f"GradNorm: expected {told}; pass such a number"):
        GradNorm(NAMES, **options)
