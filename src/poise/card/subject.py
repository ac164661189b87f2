"""The loss function under examination, callable in free coordinates and in several precisions."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor

from poise.card.arguments import Roles
from poise.card.buffers import Buffers
from poise.card.derives import derives
from poise.card.link import FREE, Link, link_of
from poise.card.outcome import Outcome, call

Loss = Callable[..., object]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A loss function with its example.

    Attributes:
        name: Name of the function.
        loss: The function as given.
        exact: The function that takes `example`: in float64 where it can be.
        example: The arguments of `exact`, the prediction in free coordinates.
        given: The arguments as given.
        roles: What each argument is for.
        live: Positions that require a gradient at every call: the prediction, and what does in the
            example.
        derives: True if the loss itself differentiates by its first argument, which is then not a
            prediction but what a network is asked at: gradient penalty, residual of an equation.
        link: Maps the coordinates to the prediction.
        role: The term's role, as in `poise.Role`.
        base: The call at the example as given.
        buffers: Of the function, if it is a module, as they were before any call.
    """

    name: str
    loss: Loss
    exact: Loss
    example: tuple[object, ...]
    given: tuple[object, ...]
    roles: Roles
    live: tuple[int, ...]
    derives: bool
    link: Link
    role: str
    base: Outcome
    buffers: Buffers

    @property
    def z(self) -> Tensor:
        """The prediction's coordinates at the example."""
        return cast(Tensor, self.example[0])

    @property
    def eps(self) -> float:
        """Rounding of the numbers that `at` works with."""
        return torch.finfo(self.z.dtype).eps

    @property
    def half_digits(self) -> float:
        """Relative difference that half of the digits show; two equal quantities stay below."""
        return math.sqrt(self.eps)

    @property
    def target(self) -> Tensor | None:
        """The floating target, in the prediction's precision."""
        at = self.roles.target
        return None if at is None or self.roles.labels else cast(Tensor, self.example[at])

    @property
    def labels(self) -> Tensor | None:
        """The class indices."""
        at = self.roles.target
        return cast(Tensor, self.example[at]) if at is not None and self.roles.labels else None

    def at(self, z: Tensor, *, wrt: Sequence[int] = (0,), factor: float = 1.0) -> Outcome:
        """The call at other coordinates of the prediction."""
        return self.call((z, *self.example[1:]), wrt=wrt, factor=factor)

    def call(
        self,
        arguments: Sequence[object],
        *,
        wrt: Sequence[int] = (0,),
        factor: float = 1.0,
        seed: int = 0,
        fresh: bool = True,
    ) -> Outcome:
        """The call with other arguments, the first in free coordinates.

        With `fresh` the buffers are first as they were at the beginning.
        """
        if fresh:
            self.buffers.restore()
        loss = self._through(self.exact)
        return call(loss, arguments, wrt, factor=factor, seed=seed, live=self.live)

    def call_in(self, dtype: torch.dtype, arguments: Sequence[object]) -> Outcome:
        """The call with all floating arguments rounded to `dtype`."""
        self.buffers.restore()
        loss = self.exact if dtype == torch.float64 else self.loss
        return call(self._through(loss), cast_all(arguments, dtype), (0,), live=self.live)

    def replaced(self, position: int, by: object) -> tuple[object, ...]:
        """The example with one argument replaced."""
        return (*self.example[:position], by, *self.example[position + 1 :])

    def _through(self, loss: Loss) -> Loss:
        def linked(z: Tensor, *rest: object) -> object:
            return loss(self.link.forward(z), *rest)

        return linked

    def floating(self) -> list[int]:
        """Positions of the floating tensors that are neither mask nor empty."""
        return [
            at
            for at, one in enumerate(self.example)
            if isinstance(one, Tensor)
            and one.is_floating_point()
            and one.numel()
            and at != self.roles.mask
        ]

    def same(self, a: float, b: float, size: float = 0.0) -> bool:
        """Whether two values agree in half of their digits; `size` is what was summed up."""
        return abs(a - b) <= self.half_digits * max(abs(a), abs(b), size)


def subject(name: str, loss: Loss, example: tuple[object, ...], roles: Roles, role: str) -> Subject:
    """Prepares a loss function: precision and link."""
    live = tuple(at for at, one in enumerate(example) if not at or _requires_grad(one))
    own = Buffers.of(loss)
    base = call(loss, example, live=live)
    own.restore()
    exact, given = _exact(loss, example, base, live)
    rounding = torch.finfo(cast(Tensor, example[0]).dtype).eps
    buffers = Buffers.of(loss, exact)
    asked = not base.raised and derives(loss, example, live)
    link = FREE if base.raised or asked else link_of(exact, given, rounding, live)
    buffers.restore()
    z = link.inverse(cast(Tensor, given[0]).detach())
    return Subject(
        name=name,
        loss=loss,
        exact=exact,
        example=(z, *given[1:]),
        given=example,
        roles=roles,
        live=live,
        derives=asked,
        link=link,
        role=role,
        base=base,
        buffers=buffers,
    )


def _requires_grad(one: object) -> bool:
    return isinstance(one, Tensor) and one.requires_grad


def cast_all(arguments: Sequence[object], dtype: torch.dtype) -> tuple[object, ...]:
    """The arguments with every floating tensor in another precision."""
    return tuple(
        one.detach().to(dtype) if isinstance(one, Tensor) and one.is_floating_point() else one
        for one in arguments
    )


def _exact(
    loss: Loss, example: tuple[object, ...], base: Outcome, live: tuple[int, ...]
) -> tuple[Loss, tuple[object, ...]]:
    """The function and example in float64; as they are where it then fails or differs."""
    precise = copy.deepcopy(loss).double() if isinstance(loss, torch.nn.Module) else loss
    arguments = cast_all(example, torch.float64)
    before = Buffers.of(precise)
    found = call(precise, arguments, live=live)
    before.restore()
    own = cast(Tensor, example[0]).dtype
    slack = torch.finfo(own).eps ** 0.5 * max(abs(base.value), 1.0)
    if not found.raised and (not base.finite or abs(found.value - base.value) <= slack):
        return precise, arguments
    return loss, tuple(one.detach() if isinstance(one, Tensor) else one for one in example)
