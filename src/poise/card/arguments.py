"""What each argument of a loss function is for, told or inferred from the example."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from poise.errors import InspectError

MASKS = ("mask", "valid", "keep")
"""Parts of a name that make a floating argument of zeros and ones a mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Positions of the arguments by what they are for; the prediction is at 0.

    Attributes:
        names: Name of every argument.
        target: What the prediction is compared with; None if there is none.
        labels: Whether the target holds class indices.
        mask: Which elements count; None if there is none.
        batch: Axis of the prediction with the samples; None for a scalar.
        length: Axis of the prediction with the positions of a sequence; None if there is none.
        classes: Axis of the prediction with classes or channels; None if there is none.
    """

    names: tuple[str, ...]
    target: int | None
    labels: bool
    mask: int | None
    batch: int | None
    length: int | None
    classes: int | None


def roles(
    loss: Callable[..., object],
    example: Sequence[object],
    *,
    target: int | str | None = None,
    mask: int | str | None = None,
    batch: int | None = None,
    length: int | None = None,
    classes: int | None = None,
) -> Roles:
    """Infers what is not told.

    The target is the first further argument with the prediction's shape up to axes of size 1, or
    integer labels with the shape of the prediction without one axis (that one has the classes).
    A mask is Boolean. The batch is axis 0, the length axis 1 of a prediction with three axes or of
    one whose mask has two, the classes are the axis that labels lack, or else the last of the
    rest.

    Example:
        >>> found = roles(
        ...     torch.nn.functional.cross_entropy,
        ...     (torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)),
        ... )
        >>> found.target, found.labels, found.classes
        (1, True, 1)
    """
    if not example or not isinstance(example[0], Tensor) or not example[0].is_floating_point():
        got = type(example[0]).__name__ if example else "nothing"
        message = (
            f"the example must start with the prediction, a floating tensor, but starts with {got};"
            " pass a tuple of the loss function's arguments, the prediction first"
        )
        raise InspectError(message)
    if not example[0].numel():
        message = (
            f"the prediction of the example is empty, shape {list(example[0].shape)}; "
            "pass a batch of 4 or more samples"
        )
        raise InspectError(message)
    names = argument_names(loss, len(example))
    prediction = example[0]
    masked = _position(mask, names, "mask")
    masked = _mask(example, names) if masked is None else masked
    aimed = _position(target, names, "target")
    aimed = _target(example, masked) if aimed is None else aimed
    labels = aimed is not None and is_labels(example[aimed], prediction, masked == aimed)
    axes = _axes(prediction, batch, length, classes)
    told = cast(Tensor, example[aimed]) if labels and aimed is not None else None
    inner = None if masked is None else example[masked]
    return Roles(
        names=names,
        target=aimed,
        labels=labels,
        mask=masked,
        batch=axes[0],
        length=_length(prediction, axes[1], inner, told),
        classes=_classes(prediction, axes, told, inner),
    )


def argument_names(loss: Callable[..., object], count: int) -> tuple[str, ...]:
    """Names of the first `count` positional arguments; `argument 3` where the code has none.

    Example:
        >>> argument_names(lambda prediction, *rest: prediction, 2)
        ('prediction', 'argument 1')
    """
    called = loss.forward if isinstance(loss, torch.nn.Module) else loss
    try:
        listed = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):  # built in C, without a signature
        listed = ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [one.name for one in listed if one.kind in kinds][:count]
    return (*names, *(f"argument {at}" for at in range(len(names), count)))


def is_labels(one: object, prediction: Tensor, is_mask: bool = False) -> bool:
    """Integer class indices: one fewer axis than the prediction, the others of the same size."""
    if is_mask or not isinstance(one, Tensor) or one.is_floating_point() or one.is_complex():
        return False
    return one.dtype != torch.bool and class_axis(one, prediction) is not None


def class_axis(labels: Tensor, prediction: Tensor) -> int | None:
    """The axis of the prediction that labels lack; axis 1 before the last, as torch has it."""
    if labels.ndim != prediction.ndim - 1:
        return None
    shape = tuple(prediction.shape)
    order = [1, prediction.ndim - 1] if prediction.ndim > 1 else [0]
    found = (axis for axis in order if shape[:axis] + shape[axis + 1 :] == tuple(labels.shape))
    return next(found, None)


def _position(told: int | str | None, names: tuple[str, ...], what: str) -> int | None:
    if told is None:
        return None
    if isinstance(told, str) and told in names:
        return names.index(told)
    if isinstance(told, int) and 0 <= told < len(names):
        return told
    message = (
        f"{what}={told!r} names no argument of the loss function; it has {', '.join(names)}; "
        "give a name or a position from 0"
    )
    raise InspectError(message)


def _mask(example: Sequence[object], names: tuple[str, ...]) -> int | None:
    for at, one in enumerate(example):
        if at == 0 or not isinstance(one, Tensor):
            continue
        named = any(part in names[at].lower() for part in MASKS)
        if one.dtype == torch.bool or (named and bool(((one == 0) | (one == 1)).all())):
            return at
    return None


def _target(example: Sequence[object], masked: int | None) -> int | None:
    prediction = cast(Tensor, example[0])
    wanted = [size for size in prediction.shape if size != 1]
    for at, one in enumerate(example):
        if at in (0, masked) or not isinstance(one, Tensor) or one.dtype == torch.bool:
            continue
        if is_labels(one, prediction) or [size for size in one.shape if size != 1] == wanted:
            return at
    return None


def _axes(
    prediction: Tensor, batch: int | None, length: int | None, classes: int | None
) -> tuple[int | None, int | None, int | None]:
    told = {"batch": batch, "length": length, "classes": classes}
    for what, axis in told.items():
        if axis is not None and not -prediction.ndim <= axis < prediction.ndim:
            message = (
                f"{what}={axis} is no axis of the prediction of shape {list(prediction.shape)}; "
                f"give one from 0 to {prediction.ndim - 1}"
            )
            raise InspectError(message)
    found = [None if one is None else one % prediction.ndim for one in told.values()]
    first = 0 if prediction.ndim and 0 not in found[1:] else None
    return (found[0] if found[0] is not None else first, found[1], found[2])


def _length(
    prediction: Tensor, told: int | None, mask: object, labels: Tensor | None
) -> int | None:
    if told is not None or prediction.ndim < 2:
        return told
    if labels is not None:
        lacking = class_axis(labels, prediction)
        return next((axis for axis in range(1, prediction.ndim) if axis != lacking), None)
    along = isinstance(mask, Tensor) and mask.shape[:2] == prediction.shape[:2]
    return 1 if prediction.ndim > 2 or along else None


def _classes(
    prediction: Tensor,
    axes: tuple[int | None, int | None, int | None],
    labels: Tensor | None,
    mask: object,
) -> int | None:
    if axes[2] is not None:
        return axes[2]
    if labels is not None:
        return class_axis(labels, prediction)
    length = _length(prediction, axes[1], mask, labels)
    rest = [axis for axis in range(prediction.ndim) if axis not in (axes[0], length)]
    return rest[-1] if rest else None
