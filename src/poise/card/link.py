"""Where a prediction lives: free numbers, positive ones, probabilities, distributions.

Everything is probed in free coordinates (logits for probabilities), so that no probe asks a loss
about a prediction that no network can make.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor

from poise.card.outcome import call


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A map from free coordinates to predictions.

    Attributes:
        name: `free`, `positive`, `probabilities`, `distribution` or `log-distribution`.
        forward: Coordinates to prediction.
        inverse: Prediction to coordinates.
    """

    name: str
    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]

    @property
    def words(self) -> str:
        """What the coordinates are called."""
        named = {"free": "the prediction", "positive": "the prediction's logarithm"}
        return named.get(self.name, "the prediction's logits")


FREE = Link(name="free", forward=lambda z: z, inverse=lambda p: p)
POSITIVE = Link(name="positive", forward=torch.exp, inverse=torch.log)
PROBABILITIES = Link(name="probabilities", forward=torch.sigmoid, inverse=torch.logit)


def link_of(
    loss: Callable[..., object],
    example: Sequence[object],
    eps: float | None = None,
    live: Sequence[int] = (0,),
) -> Link:
    """Finds the link from the example's numbers and from where the loss refuses to go.

    Args:
        loss: The loss function.
        example: Its arguments, the prediction first.
        eps: Rounding of the numbers in the example; None: that of the prediction's dtype.
        live: Positions that require a gradient at every call.

    Example:
        >>> logits = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
        >>> labels = torch.tensor([0, 1])
        >>> link_of(torch.nn.functional.nll_loss, (logits.log_softmax(1), labels)).name
        'log-distribution'
    """
    prediction = cast(Tensor, example[0]).detach()
    for axis in range(prediction.ndim - 1, -1, -1):
        if prediction.shape[axis] > 1 and is_distribution(prediction, axis, eps):
            return _distribution(axis)
        if prediction.shape[axis] > 1 and is_log_distribution(prediction, axis, eps):
            return _log_distribution(axis)
    if not prediction.numel() or not bool((prediction > 0).all()):
        return FREE

    def refused(at: Tensor) -> bool:
        return not call(loss, (at, *example[1:]), (), live=live).finite

    inside = bool((prediction < 1).all())
    if inside and refused(prediction + 1.0):
        return PROBABILITIES
    return POSITIVE if refused(-prediction) else FREE


def is_distribution(one: Tensor, axis: int, eps: float | None = None) -> bool:
    """Non-negative and summing to 1 along an axis, within rounding."""
    slack = _slack(one, axis, eps)
    return bool((one >= 0).all()) and bool(((one.sum(axis) - 1).abs() <= slack).all())


def is_log_distribution(one: Tensor, axis: int, eps: float | None = None) -> bool:
    """Logarithms of a distribution along an axis, within rounding."""
    slack = _slack(one, axis, eps)
    return bool((one <= 0).all()) and bool((one.logsumexp(axis).abs() <= slack).all())


def _slack(one: Tensor, axis: int, eps: float | None) -> float:
    """A quarter of the digits may be lost in the sum."""
    return one.shape[axis] * (torch.finfo(one.dtype).eps if eps is None else eps) ** 0.75


def _distribution(axis: int) -> Link:
    def forward(z: Tensor) -> Tensor:
        return z.softmax(axis)

    return Link(name="distribution", forward=forward, inverse=_safe_log)


def _log_distribution(axis: int) -> Link:
    def forward(z: Tensor) -> Tensor:
        return z.log_softmax(axis)

    return Link(name="log-distribution", forward=forward, inverse=lambda p: p)


def _safe_log(one: Tensor) -> Tensor:
    return one.clamp_min(torch.finfo(one.dtype).tiny).log()
