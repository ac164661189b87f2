"""The total of a value rule."""

import torch
from torch import Tensor

from poise.balance.rule import ValueRule
from poise.balance.valuing import Valuing


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
