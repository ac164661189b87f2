"""What arrives beside the terms, against gradients worked out by hand."""

import pytest
import torch
from torch import nn

from poise.probe import Graph
from poise.probe.quiet import quiet
from poise.probe.shared import at_shared
from poise.probe.unexplained import Unexplained


class Pair:
    """Two terms on one weight, and what was measured of them."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.model = nn.Linear(3, 1, bias=False, dtype=dtype)
        w = self.model.weight
        self.terms = {"a": 3 * w[0, 0], "b": 4 * w[0, 1]}
        graph = Graph(self.terms, self.model)
        found = at_shared(graph, weights={"b": 2.0})
        self.total = self.terms["a"] + 2 * self.terms["b"]
        self.seen = Unexplained(
            list(graph.shared.values()), found.sums, sum(found.gradients.norms.values())
        )


@pytest.mark.parametrize("factor", [1.0, 1 / 16, 65536.0])
def test_a_total_explains_itself(factor: float) -> None:
    """Whatever it is multiplied with."""
    one = Pair()
    (factor * one.total).backward()
    assert one.seen.share() == pytest.approx(0, abs=1e-6)


def test_a_penalty_has_its_gradient_share() -> None:
    """Norms 3, 8 and 11 of the penalty, at a right angle: half of all."""
    one = Pair()
    (one.total + 11 * one.model.weight[0, 2]).backward()
    assert one.seen.share() == pytest.approx(0.5)


def test_a_second_backward_counts_as_well() -> None:
    """An auxiliary loss that is passed back on its own."""
    one = Pair()
    one.total.backward()
    (11 * one.model.weight[0, 2]).backward()
    assert one.seen.share() == pytest.approx(0.5)


def test_gradients_that_are_only_looked_at_do_not_count() -> None:
    """autograd.grad, a probe's own pass, and what comes after the listening has ended."""
    one = Pair()
    penalty = 11 * one.model.weight[0, 2]
    torch.autograd.grad(penalty, one.model.weight, retain_graph=True)
    with quiet():
        penalty.backward(retain_graph=True)
    one.total.backward()
    one.seen.close()
    penalty.backward()
    assert one.seen.share() == pytest.approx(0, abs=1e-6)


def test_a_turned_sign_explains_nothing() -> None:
    """What climbs where the terms say to descend."""
    one = Pair()
    (-one.total).backward()
    assert one.seen.share() == 1.0


def test_nothing_is_said_of_what_cannot_be_compared() -> None:
    """No backward pass, or a gradient that is not finite."""
    assert Pair().seen.share() is None
    one = Pair()
    (float("nan") * one.total).backward()
    assert one.seen.share() is None


def test_half_precision_is_compared_in_single() -> None:
    """Rounding leaves less than a hundredth."""
    one = Pair(torch.float16)
    (1024 * one.total).backward()
    assert one.seen.share() == pytest.approx(0, abs=0.01)


def test_hooks_are_gone_afterwards() -> None:
    """Nothing listens after `share`."""
    one = Pair()
    one.total.backward()
    one.seen.share()
    assert not one.model.weight._backward_hooks
    assert not one.model.weight._post_accumulate_grad_hooks


def test_the_tensors_have_no_hooks() -> None:
    """Balancers take another way, with other rounding, where a parameter has one."""
    one = Pair()
    assert not one.model.weight._backward_hooks
    assert not one.model.weight._post_accumulate_grad_hooks
    one.total.backward()
    assert one.seen.share() == pytest.approx(0, abs=1e-6)


def cancelling(apart: float) -> Unexplained:
    """Two terms that pull at one weight in opposite directions, and a gradient of rounding."""
    weight = nn.Parameter(torch.ones(2))
    seen = Unexplained([weight], [torch.tensor([apart, 0.0])], 2.0)
    (weight * torch.tensor([apart, 0.03])).sum().backward()
    return seen


def test_terms_that_cancel_are_not_compared() -> None:
    """At an equilibrium of two terms their sum is what rounding leaves."""
    assert cancelling(0.001).share() is None
    assert cancelling(1.0).share() == pytest.approx(0.03 / 2.03)


@pytest.mark.parametrize("zeros", [True, False])
def test_gradients_that_are_thrown_away_in_between(zeros: bool) -> None:
    """As for a step that first looks around; kept, as of a second loss, they are compared."""
    one = Pair()
    one.total.backward(retain_graph=True)
    one.model.zero_grad(set_to_none=not zeros)
    one.total.backward()
    assert one.seen.share() is None
