"""Which graphs wait for other processes on the way back."""

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn import functional
from torch.nn.parallel import DistributedDataParallel

from poise.probe.collective import collective, nodes_behind, processes


class Own(torch.autograd.Function):
    """Gathers in a backward pass of its own, under a name that says nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401, ARG004, D102 -- torch's own names
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]  # noqa: ANN401, ARG004, D102
        dist.all_reduce(gradient)
        return gradient


class Plain(torch.autograd.Function):
    """Waits for nobody."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401, ARG004, D102 -- torch's own names
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]  # noqa: ANN401, ARG004, D102
        return gradient * 2


@pytest.fixture
def group() -> Any:  # noqa: ANN401
    """A process group of one."""
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def leaf() -> Tensor:
    """Something to pass backward to."""
    return torch.ones(2, 2, requires_grad=True)


@pytest.mark.filterwarnings("ignore:torch.distributed.nn.functional:FutureWarning")
@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(
    ("act", "name"),
    [
        (functional.all_reduce, "_AllReduceBackward"),
        (lambda x: functional.all_gather(x)[0], "_AllGatherBackward"),
        (lambda x: functional.broadcast(x, 0), "_BroadcastBackward"),
        (lambda x: functional.gather(x)[0], "_GatherBackward"),
        (Own.apply, "OwnBackward"),
    ],
)
def test_what_waits(act: Any, name: str) -> None:  # noqa: ANN401
    """Differentiable collectives, by torch or by hand, wherever they are in the graph."""
    assert collective(nodes_behind((act(leaf() * 2) + 1).sum())) == name


@pytest.mark.usefixtures("group")
def test_what_does_not_wait() -> None:
    """Ordinary operations of similar names, functions in Python, and data parallel training."""
    x = leaf()
    near = (
        x.gather(0, torch.zeros(1, 2, dtype=torch.int64))
        .expand(2, 2)
        .scatter_add(0, torch.zeros(1, 2, dtype=torch.int64), x)
    )
    model = DistributedDataParallel(nn.Linear(2, 2))
    total = near.sum() + Plain.apply(x).sum() + model(x).sum()
    assert collective(nodes_behind(total)) is None
    assert processes() == 1


def test_compiled_regions_may_hide_one() -> None:
    """Nobody can look inside."""

    class CompiledFunction(Plain):
        """Named like that of torch."""

    assert collective(nodes_behind(CompiledFunction.apply(leaf()).sum())) is not None
