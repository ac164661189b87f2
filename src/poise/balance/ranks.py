"""What the processes of a distributed training saw together."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from poise.balance.sight import Sight
from poise.probe.collective import processes

_own: dict[int, tuple[Any, Any]] = {}
"""By identity of the default group, that group and one that only balancers use."""


def together(sight: Sight) -> Sight:
    """What all processes saw, as if one process had had all their samples; a collective.

    A wrapper such as DistributedDataParallel averages gradients, so that the gradient of the joint
    batch is each process's own divided by the number of processes.

    Example:
        >>> names = ("a", "b")
        >>> together(Sight.of(None, names)).present
        (0.0, 0.0)
    """
    count = processes()
    if count == 1:
        return sight
    numbers = sight.packed()
    dist.all_reduce(numbers, group=_group())  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
    found = Sight.unpacked(numbers, len(sight.present))
    return Sight(
        products=found.products / count**2,
        present=found.present,
        sizes=None if found.sizes is None else found.sizes / count,
        samples=found.samples,
    )


def added(numbers: Tensor) -> Tensor:
    """Numbers on the CPU, summed over the processes; a collective.

    Example:
        >>> added(torch.ones(2))
        tensor([1., 1.])
    """
    if processes() == 1:
        return numbers
    found = numbers.clone()
    dist.all_reduce(found, group=_group())  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
    return found


def least(number: int) -> int:
    """The smallest of the processes' numbers; a collective.

    Example:
        >>> least(2)
        2
    """
    if processes() == 1:
        return number
    found = torch.tensor(number)
    dist.all_reduce(found, op=dist.ReduceOp.MIN, group=_group())  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
    return int(found)


def prepare() -> None:
    """Makes the group that balancers use; a collective the first time it is called.

    Example:
        >>> prepare()
    """
    if processes() > 1:
        _group()


def _group() -> Any:  # noqa: ANN401 -- a torch without distributed has no ProcessGroup
    """A group over gloo: its messages are K x K numbers on the CPU and never wait for a GPU."""
    world: Any = dist.group.WORLD
    if id(world) not in _own:
        _own.clear()  # an earlier default group was destroyed, and its groups with it
        _own[id(world)] = (world, dist.new_group(backend="gloo"))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
    return _own[id(world)][1]


def averaged(gradients: list[Tensor | None], like: list[Tensor]) -> list[Tensor | None]:
    """Gradients at parameters, averaged over the processes; a collective.

    Args:
        gradients: One term's gradients on this process, None where it has none.
        like: The parameters.

    Returns:
        The averages, the same on every process; with one process, what was given.

    Example:
        >>> averaged([torch.ones(2)], [torch.ones(2)])
        [tensor([1., 1.])]
    """
    count = processes()
    if count == 1:
        return gradients
    found: list[Tensor | None] = []
    for one, parameter in zip(gradients, like, strict=True):
        whole = torch.zeros_like(parameter) if one is None else one.detach().clone()
        dist.all_reduce(whole)  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
        found.append(whole / count)
    return found
