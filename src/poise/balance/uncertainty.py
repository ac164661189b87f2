"""Uncertainty weighting with learned log variances that have limits."""

from collections.abc import Iterable
from typing import Unpack, final

import torch
from torch import Tensor, nn

from poise.balance.balancer import Balancer, Machinery
from poise.balance.checks import range_of, real
from poise.balance.names import named
from poise.balance.rule import ValueRule


@final
class UncertaintyRule(ValueRule):
    """The sum of exp(-s) value / 2 + s / 2 over the terms, with a learned s for each.

    Args:
        names: Names of all terms, in order.
        start: First s of all terms: the logarithm of a variance.
        limits: Least and largest s. A value of zero would else drive s to minus infinity and the
            weight to infinity.

    Attributes:
        log_variance: s of each term, a parameter for the training's optimizer.

    Example:
        >>> rule = UncertaintyRule(("a", "b"))
        >>> rule(torch.tensor([1.0, 3.0]), ("a", "b"))
        tensor(2., grad_fn=<SumBackward0>)
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        start: float = 0.0,
        limits: tuple[float, float] = (-10.0, 10.0),
    ) -> None:
        super().__init__()
        self.names = named("Uncertainty", names)
        self.limits = low, high = range_of("Uncertainty", "limits", limits)
        inside = f"within its limits {low:g} to {high:g}"
        first = real("Uncertainty", "start", start, inside, lambda one: low <= one <= high)
        self.log_variance = nn.Parameter(torch.full((len(self.names),), first))

    def forward(self, values: Tensor, terms: tuple[str, ...]) -> Tensor:
        """The total of the present terms; it can be negative, since s can be."""
        with torch.no_grad():
            # what an optimizer has moved too far is put back; a clamp in the graph would have no
            # gradient out there, and would never let it return
            self.log_variance.clamp_(*self.limits)
        wide = values.float() if values.dtype in {torch.bfloat16, torch.float16} else values
        at = [self.names.index(name) for name in terms]
        own = self.log_variance[at].to(wide)
        return (0.5 * torch.exp(-own) * wide + 0.5 * own).sum()


def Uncertainty(
    names: Iterable[str],
    *,
    start: float = 0.0,
    limits: tuple[float, float] = (-10.0, 10.0),
    **machinery: Unpack[Machinery],
) -> Balancer:
    """A balancer that learns a variance for each term (https://arxiv.org/abs/1705.07115).

    Its parameters must be given to the training's optimizer. The total contains the logarithms of
    the variances, so it falls below zero when the values are small: that is no error. At its
    optimum a variance equals its term's value, so the weight is 1 / (2 value), as that of a running
    mean: a term with a large value and a small gradient is starved in the same way.

    Args:
        names: Names of the terms.
        start: First logarithm of all variances.
        limits: Least and largest logarithm.
        **machinery: As in `Balancer`.

    Raises:
        BalanceError: An option is no number, or the start is outside of the limits.
        TermNameError: The names are no different texts, or none.

    Example:
        >>> balance = Uncertainty(["a", "b"])
        >>> optimizer = torch.optim.SGD(balance.parameters(), lr=0.1)
        >>> balance.total({"a": torch.tensor(1.0), "b": torch.tensor(3.0)}).backward()
        >>> optimizer.step()
        >>> balance.rule.log_variance.tolist()
        [0.0, 0.10000000149011612]
    """
    names = named("Uncertainty", names)
    return Balancer(names, UncertaintyRule(names, start=start, limits=limits), **machinery)
