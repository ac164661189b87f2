"""A sum that keeps its count."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral, Real
from typing import TYPE_CHECKING, NoReturn, cast, final

import torch
from torch import Tensor

from poise.errors import ReductionError


class Reduction(StrEnum):
    """What a loss is a mean over: what its count counts.

    Example:
        >>> Reduction("token") is Reduction.TOKEN
        True
    """

    SUM = "sum"
    """No mean: the plain sum; the count is for information."""
    ELEMENT = "element"
    """Every number counts, so that the classes or features of one token are averaged too."""
    TOKEN = "token"
    """Features are summed, then the mean over all tokens: long sequences count more."""
    SAMPLE = "sample"
    """Everything of one sample is summed, then the mean over samples."""
    SEQUENCE = "sequence"
    """Mean over the tokens of each sequence, then over sequences: long ones count no more."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """A reduced loss as sum and count, so that it can still be combined exactly.

    Attributes:
        sum: What was summed, with its graph, shape [] (of `per_feature`: [features]).
        count: How many were summed, shape [], never with a gradient; a number is made a tensor on
            the device of `sum`.
        reduction: What the count counts.

    Raises:
        ReductionError: The sum is not a real floating tensor or the count is negative or no scalar.

    Example:
        >>> part = Reduced(sum=torch.tensor(6.0), count=4)
        >>> part.value, part.count
        (tensor(1.5000), tensor(4))
    """

    sum: Tensor
    count: Tensor | float
    reduction: Reduction = Reduction.ELEMENT

    def __post_init__(self) -> None:
        floating("Reduced: sum", self.sum)
        object.__setattr__(self, "count", count_tensor("Reduced", self.count, self.sum.device))
        object.__setattr__(self, "reduction", Reduction(self.reduction))

    @property
    def value(self) -> Tensor:
        """The mean (of `Reduction.SUM`: the sum); 0 with gradient 0 where the count is 0."""
        return self.sum if self.reduction is Reduction.SUM else self.over(self.count)

    def over(self, count: Tensor | float) -> Tensor:
        """The part that this sum has in a mean over `count`, 1/count inside its gradient.

        Args:
            count: Count of the whole that the mean is taken over: all micro-batches, all ranks.

        Returns:
            sum / count, shape of `sum`; the sum where `count` is 0, as nothing was summed then.

        Raises:
            ReductionError: The count is negative or no scalar.

        Example:
            >>> Reduced(sum=torch.tensor(6.0), count=4).over(8)
            tensor(0.7500)
        """
        whole = count_tensor("Reduced.over", count, self.sum.device)
        return self.sum / torch.where(whole == 0, torch.ones_like(whole), whole)

    def detach(self) -> "Reduced":
        """The same without its graph."""
        return Reduced(sum=self.sum.detach(), count=self.count, reduction=self.reduction)

    if not TYPE_CHECKING:  # a type checker that sees it would let every attribute pass

        def __getattr__(self, name: str) -> NoReturn:
            hint = f"; take .value.{name}" if hasattr(Tensor, name) else ""
            raise AttributeError(f"a Reduced has no attribute {name!r}{hint}")

    def _no_number(self, _: object) -> NoReturn:
        """Refuses arithmetic: whether sums, counts or values are meant is the user's to say."""
        raise ReductionError(
            "Reduced: expected a tensor in this arithmetic, got a sum with its count; take .value "
            "(to put parts of one mean together: poise.reduce.combine)"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = _no_number
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _no_number


def combine(parts: Iterable[Reduced]) -> Reduced:
    """Several micro-batches as one: sums and counts are added, so the mean is exact.

    Args:
        parts: At least one, all of the same reduction.

    Returns:
        The reduction of everything together; the gradient is that of the exact mean.

    Raises:
        ReductionError: There is no part, or parts with different reductions.

    Example:
        >>> short = Reduced(sum=torch.tensor(8.0), count=4)
        >>> long = Reduced(sum=torch.tensor(400.0), count=400)
        >>> round(combine([short, long]).value.item(), 4)  # and not (2 + 1) / 2
        1.0099
    """
    parts = tuple(parts)
    if not parts:
        raise ReductionError("combine: expected at least one Reduced, got none")
    kinds = tuple(dict.fromkeys(str(part.reduction) for part in parts))
    if len(kinds) > 1:
        raise ReductionError(
            f"combine: expected parts of one reduction, got {', '.join(kinds)}; a mean over tokens "
            "and a mean over samples have no common count"
        )
    total, count = parts[0].sum, cast(Tensor, parts[0].count)
    for part in parts[1:]:
        total, count = total + part.sum, count + part.count
    return Reduced(sum=total, count=count, reduction=parts[0].reduction)


def floating(who: str, values: Tensor) -> None:
    """Refuses what cannot carry a loss.

    Raises:
        ReductionError: Not a real floating tensor.
    """
    if not isinstance(values, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance] -- users' input
        raise ReductionError(
            f"{who}: expected a tensor, got {type(values).__name__}; pass torch.as_tensor(...)"
        )
    if not values.is_floating_point():
        raise ReductionError(f"{who}: expected real floating numbers, got {values.dtype}")


def count_tensor(who: str, count: Tensor | float, device: torch.device) -> Tensor:
    """The count as a scalar tensor without gradient.

    A tensor is not looked into: that would make an accelerator wait.

    Raises:
        ReductionError: It is negative or no scalar.
    """
    if isinstance(count, Tensor):
        if count.ndim:
            shape = list(count.shape)
            raise ReductionError(f"{who}: expected a count of shape [], got shape {shape}; sum it")
        return count.detach().to(device)
    if isinstance(count, bool) or not isinstance(count, Real) or not count >= 0:
        raise ReductionError(f"{who}: expected a count of 0 or more, got {count!r}")
    kind = torch.int64 if isinstance(count, Integral) else torch.get_default_dtype()
    return torch.full((), float(count), dtype=kind, device=device)
