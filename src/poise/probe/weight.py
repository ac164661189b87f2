"""Does a term's gradient follow its weight, or is the weight ignored on the way back?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from poise.probe.gradients import check_terms, passed
from poise.probe.guard import guard
from poise.probe.typed import norm

TOLERANCE = 0.05
"""Relative deviation from proportionality that rounding in half precision may cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """How far each term's gradient is from following its weight.

    Attributes:
        deviation: By term, the largest of ||grad(f L) - f grad(L)|| / ||f grad(L)|| over the
            factors f that were tried. 0 where the weight is followed; 1/2 for a gradient that
            ignores a factor of 2 altogether. Terms without gradient are left out.
    """

    deviation: Mapping[str, float]

    @property
    def ignored(self) -> tuple[str, ...]:
        """Terms whose gradient does not follow the weight: deviation above 0.05."""
        return tuple(name for name, value in self.deviation.items() if value > TOLERANCE)

    def to_record(self) -> dict[str, object]:
        """The key `weight_deviation` of a `probe` record."""
        return {"weight_deviation": dict(self.deviation)}


def weight_followed(
    terms: Mapping[str, Tensor],
    places: Sequence[Tensor | GradientEdge],
    *,
    factors: Sequence[float] = (2.0, 4.0),
    model: nn.Module | None = None,
    scale: float = 1.0,
) -> Proportion:
    """Compares the gradient of f times a term with f times its gradient.

    A custom backward that ignores the gradient it is given makes every weight, and every loss
    scale, without effect. The cost is one backward pass a term and factor, and one more a term.

    Args:
        terms: Unweighted scalar losses by name, with their graph.
        places: Where to look: parameters or a graph edge.
        factors: What to multiply with; powers of two are exact in every float type.
        model: Its buffers are restored where a checkpoint runs its forward pass again.
        scale: Multiplies both sides, so that float16 gradients do not vanish; a power of two. It
            is lowered where a gradient overflows.

    Raises:
        GraphError: A term is not a scalar, or the graph was already freed.

    Example:
        >>> p = torch.ones(2, requires_grad=True)
        >>> weight_followed({"l2": (p**2).sum()}, [p])
        Proportion(deviation={'l2': 0.0})
    """
    check_terms(terms)
    with guard(model):
        found = {
            name: _largest(name, term, places, factors, scale)
            for name, term in terms.items()
            if term.requires_grad and places
        }
    return Proportion(deviation={name: one for name, one in found.items() if one is not None})


def _largest(
    name: str,
    term: Tensor,
    places: Sequence[Tensor | GradientEdge],
    factors: Sequence[float],
    scale: float,
) -> float | None:
    """The largest deviation of one term over the factors; None if it has no gradient."""
    plain = passed(name, term, places, scale)
    if all(one is None for one in plain):
        return None
    several = [_deviation(plain, passed(name, term, places, one * scale), one) for one in factors]
    if scale > 1 and not all(map(math.isfinite, several)):
        return _largest(name, term, places, factors, max(1.0, scale / 16))
    return max(several)


def _deviation(
    plain: Sequence[Tensor | None], scaled: Sequence[Tensor | None], factor: float
) -> float:
    apart, size = 0.0, 0.0
    for one, other in zip(plain, scaled, strict=True):
        if one is None or other is None:
            continue
        expected = _wide(one) * factor
        apart += float(norm(_wide(other) - expected)) ** 2
        size += float(norm(expected)) ** 2
    return (apart / size) ** 0.5 if size else 0.0


def _wide(gradient: Tensor) -> Tensor:
    dense = gradient if gradient.layout == torch.strided else gradient.to_dense()
    return dense.to(torch.complex128 if dense.is_complex() else torch.float64)
