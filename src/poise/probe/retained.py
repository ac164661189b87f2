"""Tensors with `retain_grad()`: a backward pass of a probe would add to their gradients."""

import gc
import sys
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Any, cast
from weakref import WeakSet

import torch
from torch import Tensor

MOVING = sys.version_info >= (3, 14)
"""Newer collectors move objects to the old ones bit by bit: there is no telling which are new."""


class Retained:
    """Finds the tensors inside a graph whose `.grad` the user asked to keep.

    A graph does not know them, so all tensors that Python holds are looked through: some hundredths
    of a second the first time, and a thousandth as long as the garbage collector has not moved new
    objects to the old ones since.

    Example:
        >>> z = torch.ones(2, requires_grad=True) * 2
        >>> z.retain_grad()
        >>> any(one is z for one in Retained().find())
        True
    """

    def __init__(self) -> None:
        self._old: WeakSet[Tensor] = WeakSet()
        self._collections = -1

    def find(self) -> list[Tensor]:
        """All of them that are alive."""
        collections = int(gc.get_stats()[2]["collections"])
        if MOVING or collections != self._collections:
            inner = list(_inner(gc.get_objects()))
            self._old = WeakSet(inner)
            self._collections = collections
        else:
            young = [*gc.get_objects(0), *gc.get_objects(1)]
            inner = list({id(one): one for one in (*self._old, *_inner(young))}.values())
        with _plain():
            return [one for one in inner if one.retains_grad]


def _inner(objects: Iterable[object]) -> Iterator[Tensor]:
    """The tensors among them that operations have made, of any class."""
    several = list(objects)
    kinds = frozenset(_classes(Tensor))
    with _plain():
        found = cast(
            list[Tensor], list(compress(several, map(kinds.__contains__, map(type, several))))
        )
        return iter([one for one in found if one.requires_grad and not one.is_leaf])


def _classes(kind: type) -> Iterator[type]:
    yield kind
    for one in type.__subclasses__(kind):
        yield from _classes(one)


def _plain() -> Any:  # noqa: ANN401 -- torch leaves it untyped
    """Inside, subclasses of tensors do not see that they are asked."""
    return torch._C.DisableTorchFunctionSubclass()  # pyright: ignore[reportPrivateUsage] -- has no public name
