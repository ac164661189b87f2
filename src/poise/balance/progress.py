"""Shares that follow need: a term that lags behind gets more of the gradient, within limits."""

import math
from collections.abc import Mapping
from typing import Unpack, final

import torch
from torch import Tensor

from poise.balance.balancer import Balancer, Machinery
from poise.balance.names import known
from poise.balance.ranks import added
from poise.balance.rule import GradientRule, Seen
from poise.balance.share import ShareRule
from poise.errors import BalanceError, TermValueError


@final
class ProgressRule(GradientRule):
    """Gradient shares that are declared, times how far each term still has to go.

    The need of a term is its running mean over its first level, both above its floor: 1 at the
    start, 0 when nothing is left. Its share is the declared one times (need / geometric mean of the
    needs) to the power alpha, at most `limit` times more or less. What its gradient then must be
    multiplied with is the affair of `ShareRule`.

    What a term's share brings is not looked at beyond that: a term that does not respond may be
    starved or may have reached its noise, which call for the opposite. Declare a floor for the
    second.

    Args:
        shares: Share by term at equal needs; only ratios count.
        alpha: How much need counts; 0: the declared shares.
        limit: The most by which need multiplies or divides a share, 1 or more.
        floors: Value by term that is as good as it gets; 0 by default.
        opening: Readings whose mean is a term's first level; until then its need is 1.
        decay: What is left of the memory of a value or a norm after a step, in [0, 1).

    Attributes:
        first: Sum of each term's first values.
        opened: How many these are.
        level: Running mean of each term's values, without bias correction.
        heard: How many values that has seen.
        total: Sum of each term's values since the rule was last asked.
        count: How many these are.

    Example:
        >>> rule = ProgressRule({"a": 1.0, "b": 1.0}, opening=1, decay=0.0)
        >>> products = torch.eye(2, dtype=torch.float64) / 2
        >>> seen = Seen(products=products, terms=("a", "b"), order=("a", "b"), step=0)
        >>> for value in (8.0, 4.0):
        ...     rule.hear({"a": torch.tensor(8.0), "b": torch.tensor(value)})
        ...     found = rule(seen)
        >>> (found / found.sum()).tolist()
        [0.6666666666666666, 0.3333333333333333]
    """

    alone = True
    declared: Tensor
    floors: Tensor
    first: Tensor
    opened: Tensor
    level: Tensor
    heard: Tensor
    total: Tensor
    count: Tensor

    def __init__(
        self,
        shares: Mapping[str, float],
        *,
        alpha: float = 1.0,
        limit: float = 4.0,
        floors: Mapping[str, float] | None = None,
        opening: int = 10,
        decay: float = 0.99,
    ) -> None:
        super().__init__()
        self.share = ShareRule(shares, decay=decay)
        _check(alpha, limit, opening)
        known("ByProgress", floors or {}, shares)
        self.names = tuple(shares)
        self.alpha, self.limit, self.opening, self.decay = alpha, limit, opening, decay
        lowest = [float((floors or {}).get(name, 0.0)) for name in shares]
        self.register_buffer("declared", self.share.shares.clone())
        self.register_buffer("floors", torch.tensor(lowest, dtype=torch.float64))
        for name in ("first", "opened", "level", "heard", "total", "count"):
            self.register_buffer(name, torch.zeros(len(lowest), dtype=torch.float64))

    def hear(self, terms: Mapping[str, Tensor]) -> None:
        """Takes note of the values of a batch; those that are not finite are not."""
        for name, one in terms.items():
            value = float(one.detach())
            if math.isfinite(value):
                self.total[self.names.index(name)] += value
                self.count[self.names.index(name)] += 1

    def forward(self, seen: Seen) -> Tensor:
        """Weights of the present terms."""
        self._remember()
        boost = self._needs().clamp(min=1e-12) ** self.alpha
        centre = (self.declared * boost.log()).sum().exp()
        boost = (boost / centre).clamp(1 / self.limit, self.limit)
        wanted = self.declared * boost
        self.share.shares.copy_(wanted / wanted.sum())
        return self.share(seen)

    def _remember(self) -> None:
        values = added(torch.stack([self.total, self.count]))
        self.total.zero_()
        self.count.zero_()
        at = values[1] > 0
        means = values[0] / values[1].clamp(min=1)
        early = at & (self.opened < self.opening)
        self.first += torch.where(early, means, torch.zeros_like(means))
        self.opened += early
        self.level += torch.where(at, (1 - self.decay) * (means - self.level), 0.0)
        self.heard += at

    def _needs(self) -> Tensor:
        """What is left of each term over what there was, shape (K,); 1 where not yet known."""
        ready = self.opened >= self.opening
        if not bool(ready.any()):
            return torch.ones_like(self.first)
        start = self.first / self.opened.clamp(min=1) - self.floors
        bad = [n for n, r, s in zip(self.names, ready, start, strict=True) if r and not s > 0]
        if bad:
            raise TermValueError(
                f"ByProgress: expected values above the floor at the start, got "
                f"{float(start[self.names.index(bad[0])]):.3g} above it for term {bad[0]!r}; pass "
                f"floors={{{bad[0]!r}: ...}}, the lowest value it can have"
            )
        corrected = self.level / (1 - self.decay**self.heard).clamp(min=1 - self.decay)
        left = (corrected - self.floors).clamp(min=0)
        return torch.where(ready, left / start, torch.ones_like(start))


def ByProgress(
    shares: Mapping[str, float],
    *,
    alpha: float = 1.0,
    limit: float = 4.0,
    floors: Mapping[str, float] | None = None,
    opening: int = 10,
    decay: float = 0.99,
    **machinery: Unpack[Machinery],
) -> Balancer:
    """A balancer whose gradient shares move towards the terms that have farthest to go.

    Args:
        shares: Share by term at equal needs; only ratios count.
        alpha: How much need counts; 0: as `GradientShare`.
        limit: The most by which need multiplies or divides a share, 1 or more.
        floors: Value by term that is as good as it gets; 0 by default.
        opening: Readings whose mean is a term's first level.
        decay: What is left of the memory of a value or a norm after a step, in [0, 1).
        **machinery: As in `Balancer`.

    Raises:
        BalanceError: An option is out of its range.
        TermNameError: A floor is given for an unknown term.

    Example:
        >>> balance = ByProgress({"a": 0.25, "b": 0.75})
        >>> z = torch.ones(2, requires_grad=True)
        >>> parts = balance.fork(z)
        >>> balance.total({"a": 9 * parts["a"].sum(), "b": parts["b"].sum()}).backward()
        >>> balance.last
        Gradients(fork:balance; shares: a 25.0%, b 75.0%)
    """
    rule = ProgressRule(
        shares, alpha=alpha, limit=limit, floors=floors, opening=opening, decay=decay
    )
    return Balancer(shares, rule, **machinery)


def _check(alpha: float, limit: float, opening: int) -> None:
    if not 0 <= alpha < math.inf:
        raise BalanceError(f"ByProgress: expected alpha of at least 0, got {alpha!r}; 1 is usual")
    if not 1 <= limit < math.inf:
        raise BalanceError(f"ByProgress: expected limit of at least 1, got {limit!r}; 4 is usual")
    if opening < 1:
        raise BalanceError(f"ByProgress: expected opening of at least 1, got {opening!r}")
