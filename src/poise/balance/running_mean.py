"""Division of each value by its own running mean, with a warning."""

import warnings
from collections.abc import Mapping
from typing import Unpack, final

import torch
from torch import Tensor

from poise.balance.balancer import Balancer, Machinery
from poise.balance.checks import real
from poise.balance.names import numbered
from poise.balance.rule import ValueRule
from poise.errors import PoiseWarning

WARNING = (
    "RunningMean makes values equal, not gradients: a term whose value is large while its gradient "
    "is not, as that of a Huber or L1 loss far from its target, is divided by that value and "
    "starves. GradientShare gives declared shares of the gradient"
)


@final
class RunningMeanRule(ValueRule):
    """The sum of weight times value over running mean of the value.

    The mean is bias-corrected: in the first steps it is that of all values so far. Values without
    a graph, as in an evaluation, are divided and not remembered.

    Args:
        weights: Weight by term.
        decay: What is left of the memory after a step, in [0, 1).
        floor: Least mean to divide by.

    Attributes:
        means: Running mean of the absolute values, without bias correction.
        counts: Steps each term was seen in.

    Example:
        >>> rule = RunningMeanRule({"a": 1.0, "b": 3.0})
        >>> rule(torch.tensor([10.0, 0.1], requires_grad=True), ("a", "b")).item()
        4.0
    """

    weights: Tensor
    means: Tensor
    counts: Tensor

    def __init__(
        self, weights: Mapping[str, float], *, decay: float = 0.99, floor: float = 1e-8
    ) -> None:
        super().__init__()
        weights = numbered("RunningMean", weights)
        self.names = tuple(weights)
        for name, one in weights.items():
            real("RunningMean", f"the weight of {name!r}", one)
        self.decay = real("RunningMean", "decay", decay, "in [0, 1)", lambda one: 0 <= one < 1)
        self.floor = real("RunningMean", "floor", floor, "above 0", lambda one: one > 0)
        count = len(self.names)
        values = torch.tensor(list(weights.values()), dtype=torch.float64)
        self.register_buffer("weights", values, persistent=False)  # not a memory
        self.register_buffer("means", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(count, dtype=torch.int64))

    def forward(self, values: Tensor, terms: tuple[str, ...]) -> Tensor:
        """The total of the present terms."""
        at = [self.names.index(name) for name in terms]
        now = values.detach().to("cpu", torch.float64).abs()
        if values.requires_grad:
            self.means[at] = self.decay * self.means[at] + (1 - self.decay) * now
            self.counts[at] += 1
        known = self.counts[at] > 0
        share = torch.where(known, 1 - self.decay ** self.counts[at].double(), 1.0)
        means = torch.where(known, self.means[at] / share, now).clamp(min=self.floor)
        wide = values.float() if values.dtype in {torch.bfloat16, torch.float16} else values
        return (wide * (self.weights[at] / means).to(wide)).sum()


def RunningMean(
    weights: Mapping[str, float],
    *,
    decay: float = 0.99,
    floor: float = 1e-8,
    **machinery: Unpack[Machinery],
) -> Balancer:
    """A balancer that divides each value by its running mean. Kept because people use it.

    Args:
        weights: Weight by term.
        decay: What is left of the memory after a step, in [0, 1).
        floor: Least mean to divide by.
        **machinery: As in `Balancer`.

    Warns:
        PoiseWarning: Always: it makes values equal, and starves terms whose value is large while
            their gradient is not.

    Raises:
        BalanceError: An option is out of range.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as said:
        ...     warnings.simplefilter("always")
        ...     balance = RunningMean({"a": 1.0, "b": 3.0})
        >>> print(str(said[0].message)[:50])
        RunningMean makes values equal, not gradients: a t
    """
    warnings.warn(WARNING, PoiseWarning, stacklevel=2)
    rule = RunningMeanRule(weights, decay=decay, floor=floor)
    return Balancer(weights, rule, **machinery)
