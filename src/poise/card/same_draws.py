"""Random inputs like an example: other numbers, scales, batch sizes, lengths and masks."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import cast, final

import torch
from torch import Tensor

from poise.card.same_answer import Inputs

SCALES = tuple(10 ** (k / 2) for k in range(-8, 9))
"""Sizes of numbers and of errors: 1e-4 to 1e4 in half decades."""


class Domain(StrEnum):
    """What an input's numbers may be, as far as the example tells."""

    REAL = "real"
    NON_NEGATIVE = "not negative"
    UNIT = "in [0, 1]"
    BINARY = "0 or 1"
    SIMPLEX = "probabilities that sum to 1"
    LOG_SIMPLEX = "log-probabilities"
    UNIT_ROWS = "rows of length 1"
    MASK = "true or false"
    POOL = "integers of the example"
    FIXED = "as in the example"


WEAK = (Domain.NON_NEGATIVE, Domain.UNIT)
"""Domains that random numbers may have by chance."""

STRICT = (Domain.BINARY, Domain.SIMPLEX, Domain.LOG_SIMPLEX, Domain.UNIT_ROWS)
"""Domains that are never left."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One set of inputs.

    Attributes:
        inputs: The arguments.
        what: What they are, in words.
        shape: Sizes of the first tensor.
        size: How far the numbers are from ordinary: decades from 1, or more for an edge case.
        outside: The numbers leave the range of the example.
    """

    inputs: Inputs
    what: str
    shape: tuple[int, ...]
    size: float = 0.0
    outside: bool = False


def domain(one: object) -> Domain:
    """The narrowest domain that an example's input lies in.

    Example:
        >>> domain(torch.tensor([[0.25, 0.75]])), domain(torch.tensor([3, 1]))
        (<Domain.SIMPLEX: 'probabilities that sum to 1'>, <Domain.POOL: 'integers of the example'>)
    """
    if not isinstance(one, Tensor) or one.is_complex() or not one.numel():
        return Domain.FIXED
    if not one.is_floating_point():
        return Domain.MASK if one.dtype == torch.bool else Domain.POOL
    numbers = one.detach().double()
    return _rows(numbers) or _range(numbers)


def _rows(numbers: Tensor) -> Domain | None:
    """A domain that ties the numbers of a row together."""
    if not numbers.ndim or numbers.shape[-1] < 2:
        return None
    tolerance = 1e-3
    if (numbers >= 0).all() and (numbers.sum(-1) - 1).abs().max() < tolerance:
        return Domain.SIMPLEX
    if (numbers <= 0).all() and numbers.logsumexp(-1).abs().max() < tolerance:
        return Domain.LOG_SIMPLEX
    if (numbers.square().sum(-1) - 1).abs().max() < tolerance:
        return Domain.UNIT_ROWS
    return None


def _range(numbers: Tensor) -> Domain:
    if (numbers == 0).all() or (numbers < 0).any():
        return Domain.REAL
    if ((numbers == 0) | (numbers == 1)).all():
        return Domain.BINARY
    return Domain.UNIT if (numbers <= 1).all() else Domain.NON_NEGATIVE


def stays(one: object, kind: Domain) -> bool:
    """Whether an input is still in a domain that is never left; true for the other domains.

    Example:
        >>> stays(torch.zeros(1), Domain.BINARY), stays(torch.tensor([0.5, 0.6]), Domain.SIMPLEX)
        (True, False)
    """
    if kind is Domain.BINARY:
        numbers = cast(Tensor, one)
        return bool(((numbers == 0) | (numbers == 1)).all())
    return kind not in STRICT or domain(one) is kind


@final
class Drawer:
    """Draws inputs like those of an example, from a seed of its own.

    Example:
        >>> drawer = Drawer((torch.tensor([1.0, -2.0]), torch.tensor([0.5, -1.0])), seed=0)
        >>> [draw.what for draw in drawer.draws()][:2]
        ['the example', 'all 1e-04']
    """

    def __init__(self, example: Inputs, seed: int) -> None:
        self.example = example
        self.domains = tuple(domain(one) for one in example)
        self._generator = torch.Generator().manual_seed(seed)
        self._tensors = [k for k, one in enumerate(example) if isinstance(one, Tensor)]

    def draws(self) -> Iterator[Draw]:
        """All draws, the example first."""
        yield self._draw(self.example, "the example")
        yield from self._scaled()
        yield from self._near()
        yield from self._edges()
        yield from self._shaped()
        yield from self._outside()

    def _scaled(self) -> Iterator[Draw]:
        """All inputs, the first, or the others at each scale; ordinary scale for the rest."""
        count = len(self.example)
        for scale in SCALES:
            away = abs(torch.tensor(scale).log10().item())
            own = [scale] + [1.0] * (count - 1)
            rest = [1.0] + [scale] * (count - 1)
            for what, scales in (("all", [scale] * count), ("first", own), ("others", rest)):
                yield self._draw(self._numbers(scales), f"{what} {scale:.0e}", away)

    def _near(self) -> Iterator[Draw]:
        """The first input at a small or large distance from its twin, both as in the example."""
        twin = self._twin()
        if twin is None:
            return
        for scale in SCALES:
            error = self._normal(twin.shape).to(twin) * scale
            inputs = (twin + error, *self.example[1:])
            yield self._draw(inputs, f"error {scale:.0e}", abs(torch.tensor(scale).log10().item()))

    def _edges(self) -> Iterator[Draw]:
        twin = self._twin()
        if twin is not None:
            yield self._draw((twin.clone(), *self.example[1:]), "first equals its target", 9)
        if self.domains[0] in (Domain.REAL, *WEAK):
            zero = torch.zeros_like(cast(Tensor, self.example[0]))
            yield self._draw((zero, *self.example[1:]), "first is zero", 9)
        masks = [k for k in self._tensors if self.domains[k] is Domain.MASK]
        for fill in (True, False) if masks else ():
            inputs = tuple(
                torch.full_like(cast(Tensor, one), fill) if k in masks else one
                for k, one in enumerate(self.example)
            )
            yield self._draw(inputs, f"mask all {fill}".lower(), 9)

    def _shaped(self) -> Iterator[Draw]:
        """Other batch sizes and lengths, and several draws of masks at the example's own."""
        for size in (None, 1, 2, 3, 2 * self._batch):
            shapes = self.example if size is None else self._resized(self._batch, size)
            for scale in (0.1, 1.0, 10.0):
                yield self._draw(self._numbers([scale] * len(self.example), shapes), f"all {scale}")
        for length in self._lengths():
            for size in (1, 2, 2 * length):
                shapes = self._resized(length, size)
                for scale in (0.1, 1.0, 10.0):
                    inputs = self._numbers([scale] * len(self.example), shapes)
                    yield self._draw(inputs, f"all {scale}")

    def _outside(self) -> Iterator[Draw]:
        """Numbers of any sign where the example's range may be chance."""
        if not any(one in WEAK for one in self.domains):
            return
        for first in (True, False):
            freed = [
                Domain.REAL if one in WEAK and (k == 0) == first else one
                for k, one in enumerate(self.domains)
            ]
            if freed == list(self.domains):
                continue
            for scale in SCALES[::4]:
                inputs = self._numbers([scale] * len(self.example), domains=freed)
                what = f"all {scale:.0e}, any sign"
                # What a prediction may be is rarely meant by an example's range; a target's is.
                yield self._draw(inputs, what, 1, outside=not first)

    @property
    def _batch(self) -> int:
        first = self.example[self._tensors[0]] if self._tensors else None
        return first.shape[0] if isinstance(first, Tensor) and first.ndim else 0

    def _lengths(self) -> list[int]:
        """Sizes besides the batch that several inputs share, and no input has to itself."""
        shapes = [cast(Tensor, self.example[k]).shape for k in self._tensors]
        inner = [set(shape[1:]) for shape in shapes if len(shape) > 1]
        if len(inner) < 2:
            return []
        shared = set[int].intersection(*inner) - {self._batch, 1}
        widest = max(len(shape) for shape in shapes)
        features = {shape[-1] for shape in shapes if len(shape) == widest and widest > 2}
        return sorted(shared - features or shared)

    def _resized(self, old: int, new: int) -> Inputs:
        """Templates with `new` in place of every axis of size `old`."""

        def resize(one: object) -> object:
            if not isinstance(one, Tensor) or not old:
                return one
            for axis, size in enumerate(one.shape):
                if size == old:
                    index = torch.arange(new, device=one.device) % old
                    one = one.detach().index_select(axis, index)
            return one

        return tuple(resize(one) for one in self.example)

    def _numbers(
        self,
        scales: list[float],
        templates: Inputs | None = None,
        domains: list[Domain] | None = None,
    ) -> Inputs:
        rows = zip(
            self.example if templates is None else templates,
            self.domains if domains is None else domains,
            scales,
            strict=True,
        )
        return tuple(self._number(one, kind, scale) for one, kind, scale in rows)

    def _number(self, one: object, kind: Domain, scale: float) -> object:
        if not isinstance(one, Tensor) or kind is Domain.FIXED:
            return one
        if kind is Domain.MASK:
            return (self._normal(one.shape) > 0).to(one.device)
        if kind is Domain.POOL:
            pool = one.reshape(-1).cpu()
            picks = torch.randint(len(pool), one.shape, generator=self._generator)
            return pool[picks].to(one)
        return _within(self._normal(one.shape) * scale, kind).to(one)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self._generator, dtype=torch.float64)

    def _twin(self) -> Tensor | None:
        """A later input that the first can be equal to."""
        first = self.example[0]
        if not isinstance(first, Tensor) or self.domains[0] not in (Domain.REAL, *WEAK):
            return None
        for one in self.example[1:]:
            if isinstance(one, Tensor) and one.shape == first.shape and one.is_floating_point():
                return one.detach().to(first)
        return None

    def _draw(self, inputs: Inputs, what: str, size: float = 0.0, *, outside: bool = False) -> Draw:
        first = inputs[self._tensors[0]] if self._tensors else None
        shape = tuple(first.shape) if isinstance(first, Tensor) else ()
        return Draw(inputs=inputs, what=what, shape=shape, size=size, outside=outside)


def _within(normal: Tensor, kind: Domain) -> Tensor:
    """Normal numbers brought into a domain."""
    rows = {
        Domain.SIMPLEX: lambda: normal.softmax(-1),
        Domain.LOG_SIMPLEX: lambda: normal.log_softmax(-1),
        Domain.UNIT_ROWS: lambda: normal / normal.square().sum(-1, keepdim=True).sqrt(),
        Domain.NON_NEGATIVE: normal.abs,
        Domain.UNIT: normal.sigmoid,
        Domain.BINARY: lambda: (normal > 0).double(),
    }
    return rows[kind]() if kind in rows else normal
