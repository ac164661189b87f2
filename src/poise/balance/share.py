"""Declared shares become shares of the gradient."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Unpack, final

import torch
from torch import Tensor

from poise.balance.balancer import Balancer, Machinery
from poise.balance.checks import integer, real
from poise.balance.names import numbered
from poise.balance.rule import GradientRule, Seen
from poise.errors import BalanceError, PoiseWarning
from poise.probe.typed import numbers, rows

Total = Literal["natural"] | float
WHO = "GradientShare"


@final
class ShareRule(GradientRule):
    """Weights with which each term's typical gradient has its declared share.

    The typical norm of a term is a running geometric mean, bias-corrected: that of the norms so
    far in the first steps. One outlier of a million times moves it by 15% at decay 0.99, and a
    factor that all terms share, such as a loss scale that changes, cancels exactly from the shares.
    A step in which a term is absent or zero leaves its mean as it is.

    Args:
        shares: Share by term; only ratios count.
        total: `natural`: the sum of the typical norms, as with all weights 1; or that sum.
        decay: What is left of the memory after a step, in [0, 1).
        per_sample: Norm of a term: mean over the samples of the norm at that sample, instead of
            the norm of the whole tensor.
        warmup: Steps over which the weights go from 1 to what they are to be, in equal ratios.
        floor: Where a term's typical norm falls below this part of the largest it had, its weight
            stops growing, and so its share falls.

    Attributes:
        memory: Shape (4, K), float64: the running mean of the logarithm of each term's norm,
            without bias correction; how many steps it is over; the largest that the corrected
            mean was; whether the term is below the floor, or was zero when it was last seen.
        asked: How many steps the rule saw.

    Example:
        >>> rule = ShareRule({"a": 1.0, "b": 3.0})
        >>> products = torch.diag(torch.tensor([0.2, 0.8], dtype=torch.float64))
        >>> weights = rule(Seen(products=products, terms=("a", "b"), order=("a", "b"), step=0))
        >>> norms = weights * products.diagonal().sqrt()
        >>> norms / norms.sum()
        tensor([0.2500, 0.7500], dtype=torch.float64)
    """

    alone = True
    shares: Tensor
    memory: Tensor
    asked: Tensor

    def __init__(
        self,
        shares: Mapping[str, float],
        *,
        total: Total = "natural",
        decay: float = 0.99,
        per_sample: bool = False,
        warmup: int = 0,
        floor: float = 1e-4,
    ) -> None:
        super().__init__()
        shares = numbered(WHO, shares)
        _check(shares, per_sample)
        self.total = _total(total)
        self.decay = real(WHO, "decay", decay, "in [0, 1)", lambda one: 0 <= one < 1)
        self.per_sample = per_sample
        self.warmup = integer(WHO, "warmup", warmup, 0)
        self.floor = real(WHO, "floor", floor, "in [0, 1)", lambda one: 0 <= one < 1)
        self.absolute = self.total is not None
        self.names = tuple(shares)
        self._said: set[str] = set()
        given = torch.tensor(list(shares.values()), dtype=torch.float64)
        self.register_buffer("shares", given / given.sum(), persistent=False)  # not a memory
        memory = torch.zeros(4, len(given), dtype=torch.float64)
        memory[2] = -math.inf
        self.register_buffer("memory", memory)
        self.register_buffer("asked", torch.zeros((), dtype=torch.int64))

    @property
    def vanished(self) -> tuple[str, ...]:
        """Terms below the floor, or with a gradient of zero."""
        below = numbers(self.memory[3])
        return tuple(name for name, one in zip(self.names, below, strict=True) if one)

    def forward(self, seen: Seen) -> Tensor:
        """Weights of the present terms; 0 for a term whose gradient was never other than zero."""
        # Plain numbers: for so few, each operation on tensors costs more than all of this.
        kept = [_Kept(*one) for one in zip(*rows(self.memory), strict=True)]
        for k, norm in zip(seen.places, numbers(self._norms(seen)), strict=True):
            kept[k].remember(norm, self.decay, self.floor)
        self.asked += 1
        self.memory.copy_(torch.tensor([one.numbers() for one in kept], dtype=torch.float64).T)
        if any(one.below for one in kept):
            self._say()
        return torch.tensor(self._weights(kept, seen.places), dtype=torch.float64)

    def _norms(self, seen: Seen) -> Tensor:
        """The norms of the present terms, in units of the training's own gradients."""
        if not self.per_sample:
            return (seen.products.diagonal().clamp(min=0) * seen.trace).sqrt()
        if seen.sizes is None:
            raise BalanceError(
                "GradientShare: per_sample needs the gradients of single samples, which are only "
                "there at a fork or where one tensor carries all terms; use balance.fork"
            )
        return seen.sizes

    def _weights(self, kept: "list[_Kept]", places: list[int]) -> list[float]:
        logs = [one.bounded(self.decay, self.floor) for one in kept]
        started = [one for one in logs if one is not None]
        if not started:
            return [0.0] * len(places)
        largest = max(started)
        natural = largest + math.log(sum(math.exp(one - largest) for one in started))
        whole = natural if self.total is None else math.log(self.total)
        part = min(1.0, int(self.asked) / self.warmup) if self.warmup else 1.0
        shares = numbers(self.shares)
        return [_weight(shares[k], whole, logs[k], part) for k in places]

    def _say(self) -> None:
        new = [name for name in self.vanished if name not in self._said]
        if not new:
            return
        self._said.update(new)
        warnings.warn(
            f"GradientShare: the gradient of {', '.join(map(repr, new))} vanished: it is zero, or "
            f"below {self.floor:g} of the largest it had. Its weight does not grow further, so its "
            "share is below the declared one; is the term solved, detached or saturated?",
            PoiseWarning,
            stacklevel=2,
        )


@final
@dataclass(slots=True)
class _Kept:
    """What is remembered of one term; the four rows of `ShareRule.memory`."""

    log: float
    count: float
    peak: float
    below: float

    def numbers(self) -> list[float]:
        return [self.log, self.count, self.peak, self.below]

    def remember(self, norm: float, decay: float, floor: float) -> None:
        """Takes the norm of one step; a zero leaves the mean as it is."""
        if norm > 0:
            self.log += (1.0 - decay) * (math.log(norm) - self.log)
            self.count += 1.0
            self.peak = max(self.peak, self.typical(decay))
        low = self.count > 0 and floor > 0 and self.typical(decay) < self.peak + math.log(floor)
        self.below = float(low or not norm > 0)

    def typical(self, decay: float) -> float:
        """The mean, corrected for its few first steps."""
        return self.log / (1.0 - decay**self.count)

    def bounded(self, decay: float, floor: float) -> float | None:
        """The mean, no lower than the floor; None if there is none yet."""
        if not self.count:
            return None
        least = self.peak + math.log(floor) if floor else -math.inf
        return max(self.typical(decay), least)


def _weight(share: float, whole: float, log: float | None, part: float) -> float:
    """Weight of one term: `part` of the way from 1, in ratios."""
    if log is None or not share:
        return 0.0
    return math.exp(part * (math.log(share) + whole - log))


def GradientShare(
    shares: Mapping[str, float],
    *,
    total: Total = "natural",
    decay: float = 0.99,
    per_sample: bool = False,
    warmup: int = 0,
    floor: float = 1e-4,
    **machinery: Unpack[Machinery],
) -> Balancer:
    """A balancer with which declared shares are shares of the gradient at what the terms share.

    With `{"a": 0.1, "b": 0.9}` the gradient of b at the fork is typically nine times as long as
    that of a, whatever the terms are multiplied with. Terms that are absent from a batch change
    nothing for the others, so a batch with one term has that term's part of the gradient only.

    Args:
        shares: Share by term; only ratios count. A share of 0 leaves what is shared to the others.
        total: `natural` keeps the sum of the typical norms of the plain sum, so it grows with a
            term that is multiplied; a number sets it, and then no term's scale matters at all.
            With a number and a loss scale, pass `scale=scaler.get_scale`.
        decay: What is left of the memory of a norm after a step, in [0, 1).
        per_sample: Balance the mean of the norms at single samples, not the norm of the whole.
        warmup: Steps over which the weights go from 1 to the balanced ones, in equal ratios.
        floor: A typical norm below this part of the largest a term had counts as that part, and
            one `PoiseWarning` says so; 0: never.
        machinery: As in `Balancer`.

    Raises:
        BalanceError: An option is out of its range.

    Example:
        >>> balance = GradientShare({"a": 0.25, "b": 0.75})
        >>> z = torch.ones(2, requires_grad=True)
        >>> parts = balance.fork(z)
        >>> balance.total({"a": 1000 * parts["a"].sum(), "b": parts["b"].sum()}).backward()
        >>> balance.last
        Gradients(fork:balance; shares: a 25.0%, b 75.0%)
    """
    rule = ShareRule(
        shares, total=total, decay=decay, per_sample=per_sample, warmup=warmup, floor=floor
    )
    return Balancer(shares, rule, **machinery)


def _check(shares: Mapping[str, float], per_sample: object) -> None:
    for name, one in shares.items():
        real(WHO, f"the share of {name!r}", one, "of at least 0", lambda share: share >= 0)
    if not sum(shares.values()) > 0:
        raise _wrong("a share above 0 for some term", dict(shares))
    if not isinstance(per_sample, bool):
        raise _wrong("per_sample True or False", per_sample)


def _total(total: object) -> float | None:
    """None stands for the natural one."""
    if isinstance(total, str) and total == "natural":
        return None
    return real(WHO, "total", total, "above 0, or 'natural'", lambda one: one > 0)


def _wrong(expected: str, got: object) -> BalanceError:
    return BalanceError(f"{WHO}: expected {expected}, got {got!r:.60}; change that option")
