"""The total of a value rule."""

import warnings

import pytest
import torch
from torch import Tensor

from poise.balance.rule import ValueRule
from poise.balance.uncertainty import Uncertainty
from poise.balance.valuing import Valuing
from poise.errors import PoiseWarning


class Product(ValueRule):
    """The product of the values."""

    def forward(self, values: Tensor, terms: tuple[str, ...]) -> Tensor:
        """A total whose slopes depend on the values."""
        return values.prod()


def test_weights_are_the_slopes_of_the_total() -> None:
    """Whatever the rule computes, a weight is what a term's gradient is multiplied with."""
    valuing = Valuing(("a", "b"), Product())
    terms = {name: torch.tensor(one, requires_grad=True) for name, one in (("a", 2.0), ("b", 5.0))}
    total = valuing.total(terms)
    total.backward()
    assert valuing.held.tolist() == [5.0, 2.0]
    assert [one.grad.item() for one in terms.values()] == [5.0, 2.0]


def test_evaluation_changes_no_weight() -> None:
    """Without a graph there are no slopes."""
    valuing = Valuing(("a", "b"), Product())
    assert valuing.total({"a": torch.tensor(2.0), "b": torch.tensor(5.0)}).item() == 10.0
    assert valuing.held.tolist() == [1.0, 1.0]


def totals(count: int, *, optimized: bool) -> None:
    """So many steps of uncertainty weighting."""
    balance, loss = Uncertainty(["a"]), torch.ones((), requires_grad=True)
    own = list(balance.parameters()) if optimized else []
    optimizer = torch.optim.SGD([loss, *own], lr=0.1)
    for _ in range(count):
        balance.total({"a": loss * 3.0}).backward()
        optimizer.step()


def test_learned_weights_that_no_optimizer_has_are_told() -> None:
    """They stay at their start, and the training is the plain sum's."""
    with pytest.warns(PoiseWarning, match="UncertaintyRule have not moved in 256 totals"):
        totals(300, optimized=False)


def test_learned_weights_that_learn_are_not() -> None:
    """Nor are those that had fewer steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        totals(300, optimized=True)
        totals(200, optimized=False)
