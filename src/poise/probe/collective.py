"""Backward passes that wait for other processes, told from the names of a graph's nodes."""

from collections.abc import Iterable
from typing import Any, cast

import torch.distributed as dist
from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

from poise.probe.edges import OPAQUE, topological, vertex_of

TOGETHER = (
    "allreduce",
    "allgather",
    "alltoall",
    "broadcast",
    "reducescatter",
    "syncbatchnorm",
    "c10d",
    "redistribute",
    "registerpostbackward",
    "modelparallel",
    "tensorparallel",
    "sequenceparallel",
)
"""Parts of the names of such operations, without underscores: those of `torch.distributed`, of
`SyncBatchNorm`, of DTensor and `fully_shard`, and of tensor parallel layers."""

ROOTED = ("_GatherBackward", "_ScatterBackward", "_ReduceBackward")
"""Operations of `torch.distributed.nn` that are named like ordinary ones."""

BATCHWISE = frozenset({"send", "recv", "isend", "irecv", "batch_isend_irecv", "barrier"})
"""What else waits for other processes when a backward pass of the user's own calls it."""


def processes() -> int:
    """How many processes train together; 1 without a process group.

    Example:
        >>> processes()
        1
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def nodes_behind(total: Tensor) -> list[Node]:
    """All nodes of the graph of one tensor, each before those its gradients go to.

    Example:
        >>> import torch
        >>> [one.name() for one in nodes_behind(torch.ones(1, requires_grad=True).sum())]
        ['SumBackward0', 'torch::autograd::AccumulateGrad']
    """
    order = topological([vertex_of(get_gradient_edge(total))])
    return list(dict.fromkeys(node for node, _ in order))


def collective(nodes: Iterable[Node]) -> str | None:
    """Name of the first node whose backward pass may be a collective; None if there is none.

    A probe that passes backward through it on one process alone waits for the others for ever, or
    worse, takes part in a collective that they meant for something else. Compiled regions hide
    what is inside and count as such. A function of the user's own counts if its `backward` calls
    something of these names itself.

    Example:
        >>> import torch
        >>> collective(nodes_behind(torch.ones(1, requires_grad=True).sum())) is None
        True
    """
    return next((one.name() for one in nodes if _waits(one)), None)


def _waits(node: Node) -> bool:
    name = node.name()
    if name in ROOTED or name == OPAQUE[1]:
        return True
    return _matches(name) or any(one in BATCHWISE or _matches(one) for one in _called(node))


def _matches(name: str) -> bool:
    plain = name.replace("_", "").lower()
    return any(one in plain for one in TOGETHER)


def _called(node: Node) -> tuple[str, ...]:
    """Names that the backward pass of a function written in Python uses."""
    home = cast(Any, getattr(node, "_forward_cls", None))
    code = getattr(getattr(home, "backward", None), "__code__", None)
    return () if code is None else tuple(code.co_names)
