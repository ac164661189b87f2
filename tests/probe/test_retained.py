"""Tensors whose gradients the user asked to keep."""

import gc

import torch
from torch import Tensor, nn

from poise.probe.retained import Retained


def made(keep: bool = True) -> Tensor:
    """A tensor inside a graph."""
    z = nn.Linear(2, 2)(torch.ones(1, 2))
    if keep:
        z.retain_grad()
    return z


def test_new_ones_and_old_ones_are_found() -> None:
    """Those made before the first look, after it, after a collection, and kept only later."""
    retained = Retained()
    first, later = made(), made(keep=False)
    wanted = [first]

    def there() -> None:
        found = retained.find()
        assert all(any(one is two for two in found) for one in wanted)
        assert not any(one is later for one in found) or later.retains_grad

    there()
    wanted.append(made())
    there()
    gc.collect()
    wanted.append(made())
    there()
    later.retain_grad()
    wanted.append(later)
    there()


def test_leaves_and_dead_tensors_are_not_among_them() -> None:
    """Leaves have their gradients restored anyway, and nothing is kept alive."""
    retained = Retained()
    leaf = torch.ones(2, requires_grad=True)
    leaf.retain_grad()
    z = made()
    mark = id(z)
    assert any(one is z for one in retained.find())
    del z
    found = retained.find()
    assert not any(one is leaf or id(one) == mark for one in found)


def test_subclasses_are_not_disturbed() -> None:
    """A tensor of a class of its own is found without its functions being called."""
    calls: list[str] = []

    class Loud(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN206
            calls.append(str(func))
            return super().__torch_function__(func, types, args, kwargs or {})

    z = made().as_subclass(Loud) * 2
    z.retain_grad()
    calls.clear()
    assert any(one is z for one in Retained().find())
    assert calls == []
