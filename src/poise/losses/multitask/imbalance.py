"""How rare the positive steps are, and the weight that makes up for it."""

import torch
from torch import Tensor

from poise.errors import ReductionError


def positive_rate(target: Tensor, mask: Tensor | None = None) -> float:
    """Share of the steps that are positive.

    Args:
        target: 1 where a step is positive, else 0; any shape.
        mask: True where a step counts, bool; None: everywhere.

    Returns:
        From 0 to 1.

    Raises:
        ReductionError: No step counts, or a target is neither 0 nor 1.

    Example:
        >>> positive_rate(torch.tensor([0.0, 0.0, 0.0, 1.0]))
        0.25
    """
    counted = target if mask is None else target[mask]
    if not counted.numel() or not bool(((counted == 0) | (counted == 1)).all()):
        raise ReductionError(
            f"positive_rate: expected targets of 0 and 1, got {counted.numel()} steps with others "
            "among them or none at all; pass the flags of all training windows"
        )
    return float(counted.double().mean())


def positive_weight(target: Tensor, mask: Tensor | None = None) -> Tensor:
    """The weight of a positive step that makes both classes weigh the same: (1 - rate) / rate.

    A rare flag that is trained without it is predicted nowhere at a threshold of 0.5, and its F1 is
    0. For 7.1% positive steps the weight is 13.1. Take it from all training windows once, not
    from each batch.

    Args:
        target: 1 where a step is positive, else 0; any shape.
        mask: True where a step counts, bool; None: everywhere.

    Returns:
        Shape [], above 0.

    Raises:
        ReductionError: No step is positive, or all are.

    Example:
        >>> positive_weight(torch.tensor([0.0, 0.0, 0.0, 1.0]))
        tensor(3.)
    """
    rate = positive_rate(target, mask)
    if not 0 < rate < 1:
        raise ReductionError(
            f"positive_weight: expected steps of both classes, got {rate:.0%} positive ones; pass "
            "the flags of all training windows"
        )
    return torch.tensor((1 - rate) / rate, dtype=torch.get_default_dtype(), device=target.device)
