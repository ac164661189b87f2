"""Adding up the gradients that arrive at one tensor, with or without weights."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

Pieces: TypeAlias = Sequence[Sequence[Tensor | None]]
"""By tensor, the gradients of K terms in one order, None where a term has none."""


def sum_of(
    group: Sequence[Tensor | None], weights: Sequence[Tensor] | None = None
) -> Tensor | None:
    """The gradients added up from the last term to the first, as autograd's engine does.

    A weight of exactly 1 changes no bit. A weight of 0 leaves a gradient out, unless it is not
    finite: that must be seen by whoever skips such steps.

    Args:
        group: A gradient for each term, None where it has none.
        weights: A scalar for each term, on any device.

    Returns:
        The sum in the type of the gradients; None if there is no gradient.

    Example:
        >>> sum_of([torch.ones(2), None, torch.ones(2)], torch.tensor([1.0, 5.0, 3.0]).unbind())
        tensor([4., 4.])
    """
    places = [k for k, one in enumerate(group) if one is not None]
    total: Tensor | None = None
    # who keeps the graph of the pass itself gets new tensors; the engine, too, adds in place
    # otherwise
    kept = torch.is_grad_enabled() or any(group[k].requires_grad for k in places)  # pyright: ignore[reportOptionalMemberAccess] -- places are those that are there
    own = False
    for k in reversed(places):
        one = group[k]
        assert one is not None
        factor = None if weights is None else _factor(weights[k], one)
        if total is None:
            total, own = _times(one, factor), factor is not None
        elif kept or not own:
            total, own = total + _times(one, factor), True
        else:
            total = _added(total, one, factor)
    return total


def _factor(weight: Tensor, like: Tensor) -> Tensor | float | None:
    """The weight as a number where looking at it is free; None for exactly 1."""
    if weight.device.type != "cpu":
        return weight.to(like.device)
    number = float(weight)
    return None if number == 1.0 else number


def _times(one: Tensor, factor: Tensor | float | None) -> Tensor:
    return one if factor is None else one * factor


def _added(total: Tensor, one: Tensor, factor: Tensor | float | None) -> Tensor:
    """Adds in place."""
    if factor is None:
        return total.add_(one)
    if isinstance(factor, Tensor) or one.layout != torch.strided:
        return total.add_(one * factor)
    return total.add_(one, alpha=factor)
