"""What one fork of a balancer asks in its backward pass."""

from dataclasses import dataclass, replace
from typing import Protocol, final

import torch
from torch import Tensor

from poise.balance.keeper import Keeper
from poise.balance.ranks import together
from poise.balance.sight import Sight, sizes_of
from poise.probe.fork import Scale
from poise.probe.gradients import Gradients
from poise.probe.quiet import probing
from poise.probe.weighing import Pieces


class Owner(Protocol):
    """A balancer, as far as its forks know it."""

    names: tuple[str, ...]
    name: str
    scale: Scale | None

    def tell(self, reading: Gradients, factors: Tensor) -> None:
        """Keeps a reading as that of the weighted gradients."""
        ...


@final
@dataclass(frozen=True, slots=True)
class BalancedHome:
    """The home of a fork whose gradients are weighed; see `poise.probe.fork.Home`.

    Args:
        owner: The balancer.
        keeper: Its weights.
        lent: Weights that the backward pass carries already; None: none.
        terms: Terms of the fork, where they are not all of the balancer's.

    Example:
        >>> from poise.balance import Fixed
        >>> from poise.probe.fork import handed_out
        >>> balance, z = Fixed({"a": 1.0, "b": 3.0}), torch.ones(1, requires_grad=True)
        >>> parts = handed_out(z, balance.names, BalancedHome(balance, balance.keeper, None))
        >>> (parts["a"] + parts["b"]).sum().backward()
        >>> z.grad
        tensor([4.])
    """

    owner: Owner
    keeper: Keeper
    lent: Tensor | None
    terms: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """That of the balancer."""
        return self.owner.name

    @property
    def scale(self) -> Scale | None:
        """That of the balancer."""
        return self.owner.scale

    def wants_reading(self) -> bool:
        """Whether this step is to be measured."""
        return self.keeper.due

    def weigh(self, reading: Gradients | None, pieces: Pieces) -> tuple[Tensor, ...]:
        """The weights of the terms of this fork, and what became of the reading."""
        if probing():
            held = self.keeper.held
        elif not self.keeper.due:
            held = self.keeper.take(None)
        else:
            held = self.keeper.take(together(self._sight(reading, pieces)))
        applied = (held if self.lent is None else held / self.lent).clone()
        names = self.owner.names
        if not self.terms or self.terms == names:
            return tuple(applied.unbind())
        by = dict(zip(names, applied.unbind(), strict=True))
        return tuple(by[one] for one in self.terms)

    def _sight(self, reading: Gradients | None, pieces: Pieces) -> Sight:
        """What arrived, of all terms and without the weights that the pass carried already."""
        names = self.owner.names
        sight = Sight.of(reading, names)
        if self.keeper.rule.per_sample:
            at = [names.index(one) for one in self.terms or names]
            sizes, samples = torch.zeros(2, len(names), dtype=torch.float64).unbind()
            sizes[at], samples[at] = sizes_of(pieces)
            sight = replace(sight, sizes=sizes / number(self.scale), samples=samples)
        return sight if self.lent is None else _without(sight, self.lent)

    def tell(self, reading: Gradients) -> None:
        """The reading says what reaches the trunk."""
        held = self.keeper.held
        self.owner.tell(reading, held if self.lent is None else held / self.lent)


def number(scale: Scale | None) -> float:
    """A loss scale at this moment; 1 for None.

    Example:
        >>> number(lambda: 65536.0)
        65536.0
    """
    return 1.0 if scale is None else float(scale() if callable(scale) else scale)


def _without(sight: Sight, lent: Tensor) -> Sight:
    """What was seen, without the weights that the backward pass carried already."""
    sizes = None if sight.sizes is None else sight.sizes / lent
    return replace(sight, products=sight.products / (lent[:, None] * lent), sizes=sizes)
