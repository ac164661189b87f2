"""The total of a value rule, and the weights that it amounts to."""

import warnings
from collections.abc import Mapping
from typing import Any, cast, final

import torch
from torch import Tensor

from poise.balance.ranks import added
from poise.balance.rule import Memory, ValueRule
from poise.errors import PoiseWarning
from poise.probe.collective import processes
from poise.probe.typed import flags

PATIENCE = 256
"""Totals over which learned weights may stand still until that is said."""


@final
class Valuing(Memory):
    """Asks a value rule, and notes the derivative of its total by each value.

    Args:
        names: Names of the terms.
        rule: Is asked for the total.

    Attributes:
        held: The derivatives last seen, shape (K,), float64.
        skipped: Steps with a value that was not finite.

    Example:
        >>> class Twice(ValueRule):
        ...     def forward(self, values, terms):
        ...         return 2 * values.sum()
        >>> valuing = Valuing(("a", "b"), Twice())
        >>> valuing.total({"b": torch.tensor(3.0, requires_grad=True)}).item()
        6.0
        >>> valuing.held
        tensor([1., 2.], dtype=torch.float64)
    """

    held: Tensor
    skipped: Tensor

    def __init__(self, names: tuple[str, ...], rule: ValueRule) -> None:
        super().__init__()
        self.names, self.rule = names, rule
        self._warned = False
        self._still = 0
        self._learned: list[Tensor] = []
        self.register_buffer("held", torch.ones(len(names), dtype=torch.float64))
        self.register_buffer("skipped", torch.zeros((), dtype=torch.int64))

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The total of the present terms; with a value that is not finite, the held weights'.

        With several processes a rule sees the mean of their values, so that all get one answer, and
        the gradient goes into this process's own; a collective where the values have a graph.
        """
        values = torch.stack([one.reshape(()) for one in terms.values()])
        names = tuple(terms)
        if processes() > 1 and values.requires_grad:
            names, values = self._joint(names, values)
        at = [self.names.index(name) for name in names]
        fine = values.detach().isfinite().cpu()
        if not bool(fine.all()):
            self._skip([name for name, one in zip(names, flags(fine), strict=True) if not one])
            return (values * self.held[at].to(values)).sum()
        found = self.rule(values, names)
        if found.requires_grad and values.requires_grad:
            self.held[at] = _slopes(found, values)
            self._demand_steps()
        return found

    def _demand_steps(self) -> None:
        """Says once that parameters which should learn have not moved since the first total."""
        own = [one.detach() for one in self.rule.parameters()]
        if not own or self._still >= PATIENCE:
            return
        if not self._learned:
            self._learned = [one.clone() for one in own]
        same = all(torch.equal(a, b) for a, b in zip(own, self._learned, strict=True))
        self._still = self._still + 1 if same else PATIENCE
        if same and self._still == PATIENCE:
            warnings.warn(
                f"balance: the parameters of {type(self.rule).__name__} have not moved in "
                f"{PATIENCE} totals, so the weights are constants; give balance.parameters() to "
                "the optimizer",
                PoiseWarning,
                stacklevel=4,
            )

    def _joint(self, names: tuple[str, ...], own: Tensor) -> tuple[tuple[str, ...], Tensor]:
        """The terms that some process has, with the means of the values.

        A term that a process does not have counts as 0 there, as its gradient does in the mean that
        a data-parallel wrapper takes.
        """
        count = len(self.names)
        mine = torch.zeros(2, count, dtype=torch.float64)
        at = [self.names.index(name) for name in names]
        mine[0, at] = own.detach().to("cpu", torch.float64)
        mine[1, at] = 1.0
        whole = added(mine)
        there = flags(whole[1] > 0)
        means = (whole[0] / processes()).to(own)
        joint = [
            means[k] + (own[names.index(name)] - own[names.index(name)].detach())
            if name in names
            else means[k]
            for k, name in enumerate(self.names)
            if there[k]
        ]
        found = tuple(name for k, name in enumerate(self.names) if there[k])
        return found, torch.stack(joint)

    def _skip(self, names: list[str]) -> None:
        self.skipped += 1
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"balance: the value of {', '.join(map(repr, names))} is not finite; the weights "
                "are held and this step is not remembered. Later ones are counted in `skipped` "
                "and not reported",
                PoiseWarning,
                stacklevel=3,
            )


def _slopes(total: Tensor, values: Tensor) -> Tensor:
    """The derivative of the total by each value; the graph between them has K inputs."""
    grad = cast(Any, torch.autograd.grad)
    (found,) = grad(total, values, retain_graph=True, allow_unused=True)
    found = torch.zeros_like(values) if found is None else found
    return cast(Tensor, found).detach().to("cpu", torch.float64)
