"""Predictions to try: around the example and the target, over several sizes, always the same."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from poise.card.ray import ray_of, typical
from poise.card.subject import Subject

SIZES = (0.01, 0.1, 1.0, 10.0)
"""Sizes of the random changes, in units of the argument's own size."""


def predictions(subject: Subject) -> Iterator[Tensor]:
    """Coordinates near and far from the example and from a perfect prediction."""
    yield subject.z
    ray = ray_of(subject)
    yield from changed(subject.z)
    for error in (1e-6, 1e-4, 1e-2, 1.0):
        for side in (1.0, -1.0):
            yield ray.at(side * error * ray.scale)
    yield from changed(ray.start, ray.scale)


def changed(one: Tensor, size: float | None = None) -> Iterator[Tensor]:
    """The tensor with random changes of every size, both ways."""
    unit = typical(one) if size is None else size
    source = torch.Generator().manual_seed(2)
    for share in SIZES:
        noise = torch.randn(one.shape, generator=source, dtype=torch.float64).to(one)
        yield one + share * unit * noise
        yield one - share * unit * noise


def others(subject: Subject, position: int) -> Iterator[object]:
    """Other values of a further argument: labels moved on, masks turned, numbers changed."""
    one = subject.example[position]
    if not isinstance(one, Tensor) or not one.numel():
        return
    if one.dtype == torch.bool:
        yield ~one
    elif position == subject.roles.mask:
        yield 1 - one
    elif position == subject.roles.target and subject.roles.labels:
        classes = subject.z.shape[cast(int, subject.roles.classes)]
        for step in (1, 2):
            yield torch.where(one >= 0, (one + step) % classes, one)
    elif not one.is_floating_point():
        yield one.flip(0)
        yield torch.where(one > 0, one - 1, one)
    else:
        yield from _numbers(one)


def _numbers(one: Tensor) -> Iterator[Tensor]:
    """Floating values of the same kind: 0 and 1 stay such, positive ones stay positive."""
    if bool(((one == 0) | (one == 1)).all()):
        yield 1 - one
    elif bool((one >= 0).all()):
        yield one * 2.0
        yield one * 0.5
        yield one.flip(0)
    else:
        yield from changed(one)
