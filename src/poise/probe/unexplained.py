"""What arrives at the parameters beside the gradients of the terms."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.utils.hooks import RemovableHandle

from poise.probe.quiet import probing
from poise.probe.update import full

CANCELLED = 0.05
"""Sum of the terms' gradients over the sum of their norms, below which nothing is told: where they
cancel, the sum is mostly rounding."""


class Unexplained:
    """Compares the gradient that arrives at some parameters with the one the terms have there.

    What is left is the gradient of something that was added behind the back of the terms: a penalty
    on the total, a second `backward()`. Only directions are compared, so a loss scale, a division
    by the number of micro-batches and what clipping does afterwards leave nothing. Of a rest along
    the terms' own gradient nothing is seen either.

    Args:
        parameters: Those at which the terms were measured.
        gradients: The sum of the weighted gradients of all terms at each, in single precision or
            wider; None where there is none.
        whole: Sum of the norms of the terms' weighted gradients over all of these parameters.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> term = w[0] * 3
        >>> seen = Unexplained([w], [torch.tensor([3.0, 0.0])], 3.0)
        >>> (10 * (term + w[1])).backward()
        >>> seen.share()
        0.25
    """

    def __init__(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor | None], whole: float
    ) -> None:
        pairs = zip(parameters, gradients, strict=True)
        known = [(one, gradient) for one, gradient in pairs if gradient is not None]
        self._explained = [gradient for _, gradient in known]
        self._parameters = [one for one, _ in known]
        self._whole = whole
        self._thrown = False
        self._arrived: list[Tensor | None] = [None] * len(known)
        # At the nodes that accumulate: autograd.grad only comes by at a tensor, and hooks of
        # tensors make `Balancer.backward` take another way with other rounding.
        self._nodes = [get_gradient_edge(one).node for one, _ in known]
        self._handles = [
            cast(RemovableHandle, cast(Any, one).register_prehook(partial(self._arrive, at)))
            for at, one in enumerate(self._nodes)
        ]

    def share(self) -> float | None:
        """Part of the rest in the norms of all terms and of the rest; ends the listening.

        Returns:
            As a gradient share, in [0, 1]: that of the term that nobody recorded. None if some
            parameter got no gradient, or a gradient that is not finite or has no length; if the
            terms cancel each other; or if gradients were thrown away between two backward passes,
            as a step does that first looks around (sharpness-aware minimisation).
        """
        self.close()
        got = [one for one in self._arrived if one is not None]
        if not got or len(got) < len(self._arrived) or self._thrown:
            return None
        product = sum(_dot(one, other) for one, other in zip(got, self._explained, strict=True))
        length = sum(_dot(one, one) for one in self._explained)
        scale = product / length if length else 0.0
        if length**0.5 <= CANCELLED * self._whole or not math.isfinite(scale * self._whole):
            return None
        if scale <= 0:
            return 1.0
        pairs = zip(got, self._explained, strict=True)
        rest = sum(_dot(left, left) for left in (one / scale - other for one, other in pairs))
        return rest**0.5 / (self._whole + rest**0.5)

    def close(self) -> None:
        """Ends the listening, so that what comes later does not count; twice does nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._nodes = [], []

    def _arrive(self, at: int, gradients: tuple[Tensor | None, ...]) -> None:
        (gradient,) = gradients
        if probing() or gradient is None:
            return
        fresh, known = full(gradient), self._arrived[at]
        fresh = fresh.to(self._explained[at].dtype, copy=True)
        if known is not None:
            kept = self._parameters[at].grad
            self._thrown = self._thrown or kept is None or not full(kept).any()
        self._arrived[at] = fresh if known is None else known + fresh


def _dot(one: Tensor, other: Tensor) -> float:
    """Inner product, summed in double precision."""
    wide = torch.complex128 if one.is_complex() else torch.float64
    return float((one.conj() * other).sum(dtype=wide).real)
