"""A straight way through the predictions, from a perfect one to very wrong ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor

from poise.card.subject import Subject

NUDGES = (1e-3, 1.0)
"""Distances, in units of the target's size, at which a perfect prediction must cost no less."""
PATTERNS = (1, 2, 3)
"""Seeds of patterns of signs along which it must cost no less."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """Coordinates `start + error * direction`.

    Attributes:
        kind: `error` (prediction minus target), `margin` (how far the logits favour the wrong
            answer) or `magnitude` (of the prediction itself, for a loss without a target).
        words: Name of the axis.
        start: Coordinates at error 0.
        direction: Unit steps, elementwise at most 1.
        scale: Typical size of the target, or 1.
    """

    kind: str
    words: str
    start: Tensor
    direction: Tensor
    scale: float

    def at(self, error: float) -> Tensor:
        """Coordinates at an error."""
        return self.start + error * self.direction


def ray_of(subject: Subject) -> Ray:
    """The way that fits the loss: errors of a regression, margins of a classifier, or sizes."""
    scale = typical(subject.target)
    for start in _perfect_candidates(subject):
        ways = [torch.ones_like(start), *(signs(start, seed) for seed in PATTERNS)]
        rises = [_rises(subject, start, way, scale) for way in ways]
        if None in rises or not any(rises):
            continue
        words = "prediction minus target"
        if subject.link.name != "free" or start is not _target(subject):
            words = "logit minus its best value"
        way = ways[rises.index(True)]
        return Ray(kind="error", words=words, start=start, direction=way, scale=scale)
    margin = _margin(subject)
    if margin is not None:
        return Ray(
            kind="margin",
            words="margin of the wrong answer, in logits",
            start=torch.zeros_like(subject.z),
            direction=_towards_wrong(subject, margin),
            scale=1.0,
        )
    size = typical(subject.z)
    return Ray(
        kind="magnitude",
        words="size of the prediction (root mean square)",
        start=torch.zeros_like(subject.z),
        direction=subject.z / size,
        scale=size,
    )


def typical(one: Tensor | None) -> float:
    """Root mean square, or 1 for nothing and for zeros.

    Example:
        >>> typical(torch.tensor([3.0, -3.0])), typical(None)
        (3.0, 1.0)
    """
    if one is None or not one.numel():
        return 1.0
    found = float((one.abs() if one.is_complex() else one).double().square().mean().sqrt())
    return found if 0 < found < float("inf") else 1.0


def signs(one: Tensor, seed: int = 1) -> Tensor:
    """A fixed random pattern of +1 and -1 of the same shape."""
    source = torch.Generator().manual_seed(seed)
    return torch.where(torch.rand(one.shape, generator=source) < 0.5, -1.0, 1.0).to(one)


def _target(subject: Subject) -> Tensor | None:
    """The target if the prediction can be set to it as it stands."""
    target = subject.target
    if target is None or target.numel() != subject.z.numel():
        return None
    return target if target.shape == subject.z.shape else target.reshape(subject.z.shape)


def _perfect_candidates(subject: Subject) -> Iterator[Tensor]:
    target = _target(subject)
    if target is None or not target.is_floating_point():
        return
    if subject.link.name == "free":
        yield target.to(subject.z)
    with_zero = target.to(subject.z)
    if bool((with_zero >= 0).all()):
        yield with_zero.clamp_min(subject.eps).log()
        if bool(((with_zero > 0) & (with_zero < 1)).all()):
            yield torch.logit(with_zero)
    elif subject.link.name == "log-distribution":
        yield with_zero


def _rises(subject: Subject, start: Tensor, direction: Tensor, scale: float) -> bool | None:
    """Whether the loss rises away from here; None if it falls, so that this is no minimum."""
    here = subject.at(start, wrt=())
    around = [
        subject.at(start + side * size * scale * direction, wrt=())
        for size in NUDGES
        for side in (1.0, -1.0)
    ]
    there = [one.value for one in around if one.finite]
    if not here.finite or len(there) < 2:
        return None
    slack = subject.half_digits * max(abs(one) for one in (*there, here.value))
    return None if min(there) < here.value - slack else max(there) > here.value + slack


def _margin(subject: Subject) -> Tensor | None:
    """Direction of a right answer: class labels, or targets of 0 and 1 or -1 and 1."""
    labels = subject.labels
    if labels is not None:
        axis = cast(int, subject.roles.classes)
        held = labels.clamp(0, subject.z.shape[axis] - 1).unsqueeze(axis).long()
        return torch.zeros_like(subject.z).scatter(axis, held, 1.0)
    target = _target(subject)
    if target is None or not target.is_floating_point():
        return None
    low, high = float(target.min()), float(target.max())
    if low >= 0.0 and high <= 1.0:
        return 2.0 * target - 1.0
    return target if bool((target.abs() == 1.0).all()) else None


def _towards_wrong(subject: Subject, right: Tensor) -> Tensor:
    """The side on which the loss is larger."""
    for size in (1.0, 10.0, 0.1):
        up, down = (subject.at(side * size * right, wrt=()).value for side in (1.0, -1.0))
        if up != down:
            return -right if down > up else right
    return -right
