"""Parameters and tensors of which each process holds a part."""

import sys
from collections.abc import Iterable
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from poise.errors import GraphError

WRAPPERS = ("FSDPModule", "FullyShardedDataParallel")
"""Classes of modules that spread their parameters over processes."""


def sharded(one: Tensor) -> bool:
    """True for a `DTensor`: a tensor whose elements are spread over several processes.

    Example:
        >>> import torch
        >>> sharded(torch.ones(1))
        False
    """
    # what is not imported cannot have made one, and importing it takes a second
    home = sys.modules.get("torch.distributed.tensor")
    return home is not None and isinstance(one, getattr(home, "DTensor", ()))


def own_part(one: Tensor) -> Tensor:
    """What this process holds of a tensor: the tensor itself, or its part of a sharded one."""
    return cast(Any, one).to_local() if sharded(one) else one


def summed(numbers: Tensor, over: Tensor) -> Tensor:
    """Numbers of each process's part of a sharded tensor, added up; a collective.

    Args:
        numbers: Of this process's part; changed in place.
        over: The tensor whose parts they belong to. If it is not sharded, nothing happens.
    """
    if sharded(over):
        spread = cast(Any, over)
        for dimension, placement in enumerate(spread.placements):
            if placement.is_shard():
                dist.all_reduce(numbers, group=spread.device_mesh.get_group(dimension))  # pyright: ignore[reportUnknownMemberType] -- torch leaves it untyped
    return numbers


def fully_sharded(model: nn.Module | None) -> bool:
    """True if `fully_shard` or `FullyShardedDataParallel` has wrapped a module.

    Then forward and backward passes are collectives.

    Example:
        >>> fully_sharded(nn.Linear(1, 1))
        False
    """
    home = sys.modules.get("torch.distributed.fsdp")
    kinds = tuple(getattr(home, one) for one in WRAPPERS if hasattr(home, one))
    return model is not None and any(isinstance(one, kinds) for one in model.modules())


def refuse_sharded(model: nn.Module | None, leaves: Iterable[Tensor]) -> None:
    """Refuses a graph whose backward pass is a collective of all processes.

    A probe's pass would then be one, too: it would wait for processes that do not probe at this
    step, and a fully sharded parameter is not in the graph under its name.

    Args:
        model: May hold modules that `fully_shard` has wrapped.
        leaves: The leaf tensors of the graph.

    Raises:
        GraphError: A parameter is sharded.
    """
    # between forward and backward a fully sharded parameter has no storage
    if fully_sharded(model) or any(map(_spread, leaves)):
        raise GraphError(
            "probe: expected parameters that this process holds whole, got sharded ones "
            "(fully_shard or DTensor), whose backward pass needs all processes; use poise.fork at "
            "the trunk's output, which measures in the training's own backward pass"
        )


def _spread(one: Tensor) -> bool:
    return sharded(one) or bool(getattr(one, "_is_flat_param", False)) or _emptied(one)


def _emptied(one: Tensor) -> bool:
    return one.layout == torch.strided and bool(one.numel()) and one.untyped_storage().nbytes() == 0
