"""Two gloo processes reduce as one would."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch import multiprocessing as processes
from torch.nn.parallel import DistributedDataParallel

from poise.errors import ReductionError
from poise.objective import Objective, Term
from poise.reduce import GlobalMean, Reduced, across_ranks, global_count, per_token

DATA = torch.linspace(-1.0, 1.0, 24, dtype=torch.float64).reshape(6, 4).sin()
COUNTS = torch.tensor([4, 1, 2, 3, 4, 0])
MASK = torch.arange(4) < COUNTS[:, None]
ROWS = ((0, 1, 2, 3), (4, 5))  # unequal, and the last micro-batch of rank 1 is empty


def model() -> nn.Module:
    """The same small model in every process."""
    torch.manual_seed(3)
    return nn.Linear(4, 4, dtype=torch.float64)


def losses(net: nn.Module, rows: tuple[int, ...]) -> Reduced:
    """Unreduced squared errors of some rows, as a token mean."""
    return per_token((net(DATA[list(rows)]) - 1.0) ** 2, MASK[list(rows)])


def flat(net: nn.Module) -> Tensor:
    """All gradients in a row."""
    return torch.cat([one.grad.flatten() for one in net.parameters()])


def plain(rank: int) -> tuple[Tensor, float]:
    """The usual way: DDP over each rank's own mean."""
    net = DistributedDataParallel(model())
    loss = losses(net, ROWS[rank]).value
    loss.backward()
    return flat(net), loss.item()


def averaged(rank: int) -> tuple[Tensor, float]:
    """One mean over all ranks under DDP."""
    net = DistributedDataParallel(model())
    whole = across_ranks(losses(net, ROWS[rank]))
    whole.value.backward()
    assert int(whole.count) == int(COUNTS.sum())
    return flat(net), whole.value.item()


def summed(rank: int) -> tuple[Tensor, float]:
    """One mean over all ranks where gradients are summed by hand."""
    net = model()
    whole = across_ranks(losses(net, ROWS[rank]), averaged=False)
    whole.value.backward()
    grads = flat(net)
    dist.all_reduce(grads)
    return grads, whole.value.item()


def in_advance(rank: int) -> tuple[Tensor, float]:
    """Micro-batches of one row under DDP, with the count known."""
    net = DistributedDataParallel(model())
    rows = ROWS[rank]
    mean = GlobalMean(total=int(COUNTS[list(rows)].sum()))
    for row in rows[:-1]:
        with net.no_sync():
            mean(losses(net, (row,))).backward()
    mean(losses(net, rows[-1:])).backward()
    return flat(net), float(mean.finish().value)


def afterwards(rank: int) -> tuple[Tensor, float]:
    """Micro-batches of one row under DDP, corrected at the end."""
    net = DistributedDataParallel(model())
    mean = GlobalMean(guess=5)
    rows = ROWS[rank]
    for row in rows[:-1]:
        with net.no_sync():
            mean(losses(net, (row,))).backward()
    mean(losses(net, rows[-1:])).backward()
    whole = mean.finish(net.parameters())
    return flat(net), whole.value.item()


SPARSE = MASK & (torch.arange(24).reshape(6, 4) % 3 == 0)


def two_terms() -> Objective:
    """Two terms over different masks."""
    return Objective(
        Term("all", lambda out, rows: per_token((out - 1.0) ** 2, MASK[rows])),
        Term("few", lambda out, rows: per_token(out.abs(), SPARSE[rows]), weight=0.3),
    )


def objective(rank: int) -> tuple[Tensor, float]:
    """Two terms with their own counts, micro-batches of one row, under DDP."""
    net, rows = DistributedDataParallel(model()), list(ROWS[rank])
    masks = {"all": MASK[rows], "few": SPARSE[rows]}
    counts = {name: global_count(mask.sum()) for name, mask in masks.items()}
    for row in rows[:-1]:
        with net.no_sync():
            two_terms()(net(DATA[[row]]), [row], counts=counts).total.backward()
    two_terms()(net(DATA[rows[-1:]]), rows[-1:], counts=counts).total.backward()
    return flat(net), 0.0


def counts(rank: int) -> tuple[Tensor, float]:
    """The divisor for gradients that are averaged, and for those that are summed."""
    pair = [global_count(rank + 3, averaged=averaged) for averaged in (True, False)]
    return torch.stack(pair), 0.0


def disagreeing(rank: int) -> tuple[Tensor, float]:
    """One rank's counts are wrong, then one has no micro-batch: nobody waits for the other."""
    told: list[bool] = []
    for total, there in ((4 + rank, (0, 1)), (4, (0,))):
        mean = GlobalMean(total=total)
        if rank in there:
            mean(Reduced(sum=torch.tensor(1.0), count=4))
        try:
            mean.finish()
        except ReductionError as error:
            told.append("failed on 1 other rank(s); see the error there" in str(error))
    return torch.tensor(told), 0.0


WAYS: tuple[Callable[[int], tuple[Tensor, float]], ...] = (
    plain,
    averaged,
    summed,
    in_advance,
    afterwards,
    objective,
    counts,
    disagreeing,
)


def work(rank: int, folder: str) -> None:
    """What each process does; its results go to a file."""
    torch.set_num_threads(1)
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # a container's own name may not resolve
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save({way.__name__: way(rank) for way in WAYS}, f"{folder}/{rank}.pt")
    dist.barrier()  # neither leaves while the other is still in a collective
    dist.destroy_process_group()
    os._exit(
        0
    )  # a thread of torch that wants the interpreter while it ends would abort the process


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, tuple[Tensor, float]]]:
    """What both processes found."""
    folder: Path = tmp_path_factory.mktemp("ranks")
    processes.spawn(work, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.fixture
def exact() -> tuple[Tensor, float]:
    """One process with all rows."""
    net = model()
    value = ((net(DATA) - 1.0) ** 2)[MASK].sum() / COUNTS.sum()
    value.backward()
    return flat(net), value.item()


@pytest.mark.parametrize("way", ["averaged", "summed", "in_advance", "afterwards"])
@pytest.mark.parametrize("rank", [0, 1])
def test_same_as_one_process(
    results: list[dict[str, tuple[Tensor, float]]], exact: tuple[Tensor, float], way: str, rank: int
) -> None:
    """Gradient and value on either rank are those of one process that has everything."""
    grads, value = results[rank][way]
    torch.testing.assert_close(grads, exact[0], rtol=1e-13, atol=1e-14)
    assert value == pytest.approx(exact[1], rel=1e-13)


@pytest.mark.parametrize("rank", [0, 1])
def test_objective_with_counts(results: list[dict[str, tuple[Tensor, float]]], rank: int) -> None:
    """Every term of an objective is exact over ranks and micro-batches, each with its own count."""
    net = model()
    two_terms()(net(DATA), list(range(6))).total.backward()
    torch.testing.assert_close(results[rank]["objective"][0], flat(net), rtol=1e-13, atol=1e-14)


def test_means_of_ranks_are_not(
    results: list[dict[str, tuple[Tensor, float]]], exact: tuple[Tensor, float]
) -> None:
    """The usual way is another objective where the ranks have unequal counts."""
    grads, _ = results[0]["plain"]
    assert float((grads - exact[0]).norm() / exact[0].norm()) > 0.05


def test_a_fault_of_one_rank_stops_all(results: list[dict[str, tuple[Tensor, float]]]) -> None:
    """The rank that is wrong says why, the other one says that it was another."""
    assert [one["disagreeing"][0].tolist() for one in results] == [[True, True], [False, False]]


def test_global_count(results: list[dict[str, tuple[Tensor, float]]]) -> None:
    """3 and 4 are 7 in all: 3.5 for each rank where gradients are averaged."""
    assert [one["counts"][0].tolist() for one in results] == [[3.5, 7.0], [3.5, 7.0]]


def test_alone_it_is_the_identity() -> None:
    """Without torch.distributed nothing is sent and nothing changes."""
    part = Reduced(sum=torch.tensor(6.0), count=4)
    assert across_ranks(part) is part
    assert int(global_count(torch.tensor(4))) == 4
