"""Makes an input that tells two losses apart as small and round as it can be."""

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor

from poise.card.same_answer import Inputs

TRIES = 120
"""Inputs that are tried at most: a simpler example is worth a second, not a minute."""

FEW = 12
"""Elements up to which each one is set to zero by itself."""


def shrunk(inputs: Inputs, clashes: Callable[[Inputs], bool]) -> Inputs:
    """The simplest input found that still clashes: fewer rows first, then rounder numbers.

    Example:
        >>> start = (torch.tensor([0.1234, 7.3456, -0.5]),)
        >>> shrunk(start, lambda inputs: bool((inputs[0] > 5).any()))
        (tensor([7.]),)
    """
    left = TRIES
    moved = True
    while moved and left > 0:
        moved = False
        for candidate in _simpler(inputs):
            left -= 1
            if clashes(candidate):
                inputs, moved = candidate, True
                break
            if left <= 0:
                break
    return inputs


def _simpler(inputs: Inputs) -> Iterator[Inputs]:
    yield from _fewer(inputs)
    yield from _rounder(inputs)
    yield from _emptier(inputs)


def _fewer(inputs: Inputs) -> Iterator[Inputs]:
    """One, then two, then half of each axis, the first axis first."""
    shapes = [tuple(one.shape) for one in inputs if isinstance(one, Tensor)]
    sizes = list(dict.fromkeys(size for shape in shapes for size in shape if size > 1))
    for size in sizes:
        for keep in dict.fromkeys((1, 2, size // 2)):
            if keep >= size:
                continue
            for start in dict.fromkeys((0, size - keep)):
                yield tuple(_cut(one, size, start, keep) for one in inputs)


def _cut(one: object, size: int, start: int, keep: int) -> object:
    if isinstance(one, Tensor):
        for axis, length in enumerate(one.shape):
            if length == size:
                one = one.narrow(axis, start, keep)
    return one


def _rounder(inputs: Inputs) -> Iterator[Inputs]:
    """All numbers, then those of one input, rounded to whole ones, tenths or leading digits."""
    floating = [
        k for k, one in enumerate(inputs) if isinstance(one, Tensor) and one.is_floating_point()
    ]
    groups = [floating, *([k] for k in floating if len(floating) > 1)]
    for group in groups:
        for rounding in (torch.round, _tenths, _leading):
            rounded = tuple(
                rounding(cast(Tensor, one)) if k in group else one for k, one in enumerate(inputs)
            )
            if not all(_equal(one, two) for one, two in zip(rounded, inputs, strict=True)):
                yield rounded


def _emptier(inputs: Inputs) -> Iterator[Inputs]:
    """One element zero where it is not."""
    for k, one in enumerate(inputs):
        if not isinstance(one, Tensor) or not one.is_floating_point() or one.numel() > FEW:
            continue
        for place in range(one.numel()):
            flat = one.detach().reshape(-1).clone()
            if flat[place] != 0:
                flat[place] = 0
                yield (*inputs[:k], flat.reshape(one.shape), *inputs[k + 1 :])


def _tenths(one: Tensor) -> Tensor:
    return (one.double() * 10).round().div(10).to(one.dtype)


def _leading(one: Tensor) -> Tensor:
    """Each number with its first digit only; zero stays."""
    numbers = one.double()
    power = 10 ** numbers.abs().clamp_min(1e-300).log10().floor()
    return (numbers / power).round().mul(power).to(one.dtype)


def _equal(one: object, two: object) -> bool:
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return torch.equal(one, two)
    return one is two
