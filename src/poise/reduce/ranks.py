"""Reductions over the ranks of torch.distributed.

DistributedDataParallel and FSDP *average* gradients over the ranks. The mean over all tokens needs
the *sum* of the ranks' gradients of sum / global count, so the number of ranks has to be multiplied
in. Both functions do that unless `averaged=False`.
"""

from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch import distributed as dist

from poise.reduce.reduced import Reduced, Reduction, count_tensor

# A string, as a torch that was built without distributed has no ProcessGroup.
Group: TypeAlias = "dist.ProcessGroup | None"


def across_ranks(part: Reduced, *, group: Group = None, averaged: bool = True) -> Reduced:
    """The reduction over all ranks, to log and to back-propagate.

    The value is the exact global one on every rank. Its backward pass sends nothing: each rank gets
    the gradient of its own part, scaled so that the gradients, once averaged (or summed) over the
    ranks as the training does anyway, are those of the global value.

    Every rank of the group must call it, in the same order. Without torch.distributed, or with one
    rank, it returns the part itself.

    Args:
        part: What this rank has; a count of 0 is fine.
        group: The process group; None: the default one.
        averaged: The training averages gradients over ranks (DDP, FSDP); False: it sums them.

    Returns:
        Sum and count over all ranks; summed in double precision.

    Example:
        >>> across_ranks(Reduced(sum=torch.tensor(6.0), count=4)).value
        tensor(1.5000)
    """
    ranks = _ranks(group)
    if ranks == 1:
        return part
    count = cast(Tensor, part.count)
    local = torch.cat([part.sum.reshape(-1).double(), count.reshape(1).double()])
    factor = ranks if averaged else 1
    everywhere = cast(Tensor, _SumOverRanks.apply(local, group, factor))  # pyright: ignore[reportUnknownMemberType] -- untyped in torch
    return Reduced(
        sum=everywhere[:-1].reshape(part.sum.shape).to(part.sum.dtype),
        count=everywhere[-1].detach().to(count.dtype),
        reduction=Reduction(part.reduction),
    )


def global_count(
    count: Tensor | float, *, group: Group = None, averaged: bool = True, device: str = "cpu"
) -> Tensor:
    """What this rank's sums are divided by to make the exact mean over all ranks.

    To be known before the first micro-batch: counts come from labels and masks, so no forward pass
    is needed for them.

    Args:
        count: This rank's count over all micro-batches of the optimizer step.
        group: The process group; None: the default one.
        averaged: The training averages gradients over ranks (DDP, FSDP); False: it sums them.
        device: Where a plain number is put for sending; NCCL needs `cuda`.

    Returns:
        The count over all ranks, divided by the number of ranks if gradients are averaged; shape
        [], double precision with several ranks.

    Raises:
        ReductionError: The count is negative or no scalar.

    Example:
        >>> global_count(404)
        tensor(404)
    """
    place = count.device if isinstance(count, Tensor) else torch.device(device)
    own, ranks = count_tensor("global_count", count, place), _ranks(group)
    if ranks == 1:
        return own
    whole = own.to(torch.float64, copy=True)
    _add_up(whole, group)
    return whole / ranks if averaged else whole


def sending_device(group: Group = None) -> torch.device:
    """Where a number is put that is to be sent, if nothing else says so: NCCL needs a GPU.

    Example:
        >>> sending_device()
        device(type='cpu')
    """
    needs = _ranks(group) > 1 and "nccl" in str(dist.get_backend(group))
    return torch.device("cuda" if needs else "cpu")


def faulty_ranks(faulty: bool, *, group: Group = None, device: torch.device | None = None) -> int:
    """On how many ranks something is wrong, so that all can stop instead of waiting for one.

    Every rank of the group must call it. It waits for the accelerator once if there are several.

    Args:
        faulty: This rank's own state.
        group: The process group; None: the default one.
        device: Where the number is put for sending; None: `sending_device`.

    Example:
        >>> faulty_ranks(True), faulty_ranks(False)
        (1, 0)
    """
    if _ranks(group) == 1:
        return int(faulty)
    found = torch.full((), int(faulty), device=device or sending_device(group))
    _add_up(found, group)
    return int(found)


def _add_up(values: Tensor, group: Group) -> None:
    dist.all_reduce(values, group=group)  # pyright: ignore[reportUnknownMemberType] -- untyped in torch


def _ranks(group: Group) -> int:
    running = dist.is_available() and dist.is_initialized()
    return dist.get_world_size(group) if running else 1


class _SumOverRanks(torch.autograd.Function):
    """Sum over ranks forward, scaled identity backward."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, group: Group, factor: int) -> Tensor:  # noqa: ANN401 -- torch's own type
        ctx.factor = factor
        whole = local.clone()
        _add_up(whole, group)
        return whole

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 -- torch's own type
        return grads[0] * ctx.factor, None, None
