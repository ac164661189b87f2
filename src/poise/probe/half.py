"""Gradients of float16 without its underflow: passed backward with a scale, and divided again."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from poise.probe.gradients import passed

USUAL, HIGHEST = 16, 24
"""Exponents of 2: where a scale starts, as that of `torch.amp.GradScaler`, and where it ends."""
LOWER = 4
"""By what exponent it is lowered where a gradient overflows."""
HALF_HIGHEST = 15
"""The largest exponent that float16 itself can hold."""


def has_half(nodes: Iterable[Node]) -> bool:
    """True if a tensor of float16 lies on the way back; bfloat16 has the range of float32.

    Example:
        >>> from poise.probe import Graph
        >>> p = torch.ones(2, requires_grad=True)
        >>> has_half(Graph({"a": p.half().sum().float()}).nodes())
        True
    """
    return any(
        one.dtype == torch.float16 for node in nodes for one in getattr(node, "_input_metadata", ())
    ) or any(
        getattr(getattr(node, "variable", None), "dtype", None) == torch.float16 for node in nodes
    )


def scale_for(term: Tensor, weight: float = 1.0) -> float:
    """The power of two to start with: what a training under mixed precision passes back with.

    Args:
        term: A term's value.
        weight: What the training multiplies it with.

    Example:
        >>> scale_for(torch.tensor(1.0)), scale_for(torch.tensor(1.0), 400.0)
        (65536.0, 16777216.0)
    """
    return 2.0 ** _exponent(term, weight)


def _exponent(term: Tensor, weight: float) -> int:
    size = abs(weight)
    more = round(math.log2(size)) if math.isfinite(size) and size > 0 else 0
    return max(0, min(_highest(term), USUAL + more))


def _highest(term: Tensor) -> int:
    return HALF_HIGHEST if term.dtype == torch.float16 else HIGHEST


def passed_scaled(
    name: str, term: Tensor, places: Sequence[Tensor | GradientEdge], weight: float = 1.0
) -> tuple[Sequence[Tensor | None], float]:
    """Gradient of a power of two times a term at each place, and that power.

    It is lowered as long as something overflows, and the highest one is tried if all is zero. A
    gradient that is not finite even without a scale is handed back as it is.

    Example:
        >>> p = torch.ones(1, requires_grad=True)
        >>> loss = (p.half() * 1e-5).float().sum() * 1e-3
        >>> torch.autograd.grad(loss, p, retain_graph=True)
        (tensor([0.]),)
        >>> (row,), scale = passed_scaled("loss", loss, [p])
        >>> round(row.item() / scale, 10)
        1e-08
    """
    exponent = _exponent(term, weight)
    row = passed(name, term, places, 2.0**exponent)
    if _zero(row) and exponent < _highest(term):
        exponent = _highest(term)
        row = passed(name, term, places, 2.0**exponent)
    while exponent and not _finite(row):
        exponent = max(0, exponent - LOWER)
        row = passed(name, term, places, 2.0**exponent)
    return row, 2.0**exponent


def _there(row: Sequence[Tensor | None]) -> Iterable[Tensor]:
    present = [one for one in row if one is not None]
    return [one if one.layout == torch.strided else one.to_dense() for one in present]


def _finite(row: Sequence[Tensor | None]) -> bool:
    return all(bool(one.isfinite().all()) for one in _there(row))


def _zero(row: Sequence[Tensor | None]) -> bool:
    return not any(bool(one.any()) for one in _there(row))
