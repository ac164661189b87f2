"""The example with more samples, positions or classes: the same numbers, repeated.

Repeating keeps every statistic of the elements, so that a mean stays what it is to the last digits
and a sum grows by exactly the factor.
"""

from typing import cast

import torch
from torch import Tensor

from poise.card.link import is_distribution, is_log_distribution
from poise.card.subject import Subject


def axis_in(subject: Subject, position: int, axis: int) -> int | None:
    """The axis of an argument that runs along with an axis of the prediction; None without one.

    Arguments of fewer axes are lined up from the front (samples first), else from the back (as
    broadcasting does); class labels lack the class axis.
    """
    one = subject.example[position]
    if not isinstance(one, Tensor) or not one.ndim:
        return None
    shape = tuple(subject.z.shape)
    if position == subject.roles.target and subject.roles.labels:
        lacking = cast(int, subject.roles.classes)
        return None if axis == lacking else axis - (axis > lacking)
    found = axis
    if one.ndim < len(shape) and tuple(one.shape) != shape[: one.ndim]:
        if tuple(one.shape) != shape[-one.ndim :]:
            return _leading(one, shape, axis)
        found = axis - (len(shape) - one.ndim)
    return found if 0 <= found < one.ndim and one.shape[found] == shape[axis] else None


def _leading(one: Tensor, shape: tuple[int, ...], axis: int) -> int | None:
    """Matched from the front as far as the sizes agree: per-sample data of another width."""
    agreed = 0
    while agreed < one.ndim and one.shape[agreed] == shape[agreed]:
        agreed += 1
    return axis if axis < agreed else None


def repeated(subject: Subject, axis: int, times: int) -> tuple[object, ...]:
    """All arguments with an axis of the prediction `times` as long.

    Distributions along that axis are spread out, so that they still sum to 1.
    """
    found: list[object] = []
    for at, one in enumerate(subject.example):
        own = axis_in(subject, at, axis)
        if own is None or not isinstance(one, Tensor):
            found.append(one)
            continue
        longer = torch.cat([one] * times, dim=own)
        found.append(longer if at == 0 else _spread(one, longer, own, times))
    return tuple(found)


def _spread(one: Tensor, longer: Tensor, axis: int, times: int) -> Tensor:
    rounding = torch.finfo(torch.float32).eps  # the example was given in single precision or worse
    if not one.is_floating_point() or one.shape[axis] < 2:
        return longer
    if is_distribution(one, axis, rounding):
        return longer / times
    if is_log_distribution(one, axis, rounding):
        return longer - torch.tensor(float(times)).log().item()
    return longer
