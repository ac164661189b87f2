"""Weights that never change."""

from collections.abc import Mapping
from typing import Unpack, final

import torch
from torch import Tensor

from poise.balance.balancer import Balancer, Machinery
from poise.balance.checks import real
from poise.balance.names import numbered
from poise.balance.rule import GradientRule, Seen


@final
class FixedRule(GradientRule):
    """Constant weights.

    Args:
        weights: Weight by term, in the order of the terms.

    Example:
        >>> seen = Seen(products=torch.ones(1, 1), terms=("a",), order=("a",), step=0)
        >>> FixedRule({"a": 2.0})(seen)
        tensor([2.], dtype=torch.float64)
    """

    values: Tensor
    alone = True

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        weights = numbered("Fixed", weights)
        for name, one in weights.items():
            real("Fixed", f"the weight of {name!r}", one)
        values = torch.tensor(list(weights.values()), dtype=torch.float64)
        self.register_buffer("values", values, persistent=False)  # not a memory

    def forward(self, seen: Seen) -> Tensor:
        """The weights of the present terms."""
        return self.values[seen.places]


def Fixed(weights: Mapping[str, float], **machinery: Unpack[Machinery]) -> Balancer:
    """A balancer with weights that never change, at the shared parameters only.

    Unlike weights in the total it leaves the heads alone: each trains on its own unscaled gradient.

    Args:
        weights: Weight by term.
        machinery: As in `Balancer`.

    Raises:
        BalanceError: A weight is not finite.

    Example:
        >>> balance = Fixed({"a": 1.0, "b": 3.0})
        >>> z = torch.ones(2, requires_grad=True)
        >>> parts = balance.fork(z)
        >>> balance.total({name: part.sum() for name, part in parts.items()}).backward()
        >>> z.grad
        tensor([4., 4.])
    """
    return Balancer(weights, FixedRule(weights), **machinery)
