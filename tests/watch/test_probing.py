"""What a watch measures, and what it must leave alone, in trainings of every kind."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import poise
from poise.errors import PoiseWarning
from poise.probe import fork, probing
from poise.watch import Watch
from tests.watch.loops import WEIGHTS, batches, lines, made, measuring_always, train

RANK = """
import os, sys, warnings, torch, torch.distributed as dist
import torch.distributed.nn.functional as together
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from poise import fork
from poise.watch import Watch
warnings.filterwarnings("ignore", category=FutureWarning)
torch.set_num_threads(1)
rank, port, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)


def losses(kind, net, x):
    z = net(x)
    if kind == "all_reduce":  # what batch norm over all ranks does
        z = z - together.all_reduce(z.mean(0)) / 2
    if kind == "all_gather":  # what a contrastive loss does
        z = z @ torch.cat(together.all_gather(z)).T
    z = fork(z, ["a", "b"], name="z")
    return {"a": z["a"].square().mean() * (1 + rank), "b": z["b"].abs().mean()}


def trained(kind, run):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    if kind == "sharded":
        from torch.distributed.device_mesh import init_device_mesh
        fully_shard(net, mesh=init_device_mesh("cpu", (2,)))
    elif kind == "plain":
        net = DistributedDataParallel(net)
    average = torch.optim.swa_utils.AveragedModel(net) if kind == "plain" else None
    averages = {"ema": average} if average else None
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
    watch = run and Watch(run, model=net, optimizer=optimizer, every=4, averages=averages)
    if watch:  # measure whenever possible, however slow this machine is
        watch.budget.fraction = 1e6
        for account in watch.budget.accounts.values():
            account.part = 1e6
    generator = torch.Generator().manual_seed(rank)
    for _ in range(12):
        terms = losses(kind, net, torch.randn(6, 4, generator=generator))
        total = watch.total(terms) if watch else terms["a"] + terms["b"]
        total.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    if watch:
        watch.close()
        assert watch.failures == 0
    return [getattr(one, "full_tensor", lambda: one)().detach().clone() for one in net.parameters()]


for kind in ("plain", "all_reduce", "all_gather", "sharded"):
    plain, watched = trained(kind, None), trained(kind, os.path.join(path, kind))
    assert all(torch.equal(one, two) for one, two in zip(plain, watched)), kind
dist.barrier()
dist.destroy_process_group()
os._exit(0)  # a thread of torch that wants the interpreter while it ends would abort the process
"""


@pytest.fixture
def due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate is measured, however slow this machine is at the moment."""
    monkeypatch.setattr(
        "poise.watch.budget.Budget.due", lambda self, name, **_: self.accounts[name].part > 0
    )


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of two ranks in four trainings; each was also run without a watch."""
    path = tmp_path_factory.mktemp("ranks")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    both = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), port, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [one.communicate(timeout=120)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], errors
    return path


@pytest.mark.parametrize(
    ("kind", "texts", "places", "motion"),
    [
        ("plain", [], {"shared", "edge", "fork:z"}, True),
        ("all_reduce", ["shared, edge: GraphError: _AllReduceBackward in"], {"fork:z"}, True),
        ("all_gather", ["shared, edge: GraphError: _AllGatherBackward in"], {"fork:z"}, True),
        (
            "sharded",
            ["shared, edge, motion, response: GraphError: the parameters are sharded"],
            {"fork:z"},
            False,
        ),
    ],
)
def test_two_ranks(
    ranks: Path, kind: str, texts: list[str], places: set[str], motion: bool
) -> None:
    """Parameters are bit for bit those without a watch, and what would wait is not measured."""
    probes = lines(ranks / kind, "probe")
    assert {one["where"] for one in probes if "where" in one} == places
    assert any("motion" in one for one in probes) is motion
    events = lines(ranks / kind, "event")
    assert [one["name"] for one in events] == ["probe-failed"] * len(texts)
    assert all(e["text"].startswith(one) for e, one in zip(events, texts, strict=True))
    assert len(lines(ranks / kind)) == 12


@pytest.mark.usefixtures("due")
def test_retained_gradients_and_hooks_of_the_user(tmp_path: Path) -> None:
    """What `retain_grad()` keeps, and what a hook makes of a gradient, is as without a watch."""
    ends: list[list[Tensor]] = []
    calls: list[list[bool]] = []
    for watched in (False, True):
        net, optimizer = made()
        watch = Watch(tmp_path, model=net, optimizer=optimizer, every=1) if watched else None
        found, called = list[Tensor](), list[bool]()

        def hook(gradient: Tensor, called: list[bool] = called) -> Tensor:
            called.append(probing())
            return gradient.clamp(-0.01, 0.01)

        for x in batches(20):
            z = net.trunk(x)
            z.register_hook(hook)
            z.retain_grad()
            terms = {name: (head(z) - 1).square().mean() for name, head in net.heads.items()}
            terms["a"].retain_grad()
            plain = 1.0 * terms["a"] + 0.25 * terms["b"]
            (plain if watch is None else watch.total(terms, WEIGHTS)).backward()
            assert z.grad is not None
            assert terms["a"].grad is not None
            found += [z.grad.clone(), terms["a"].grad.clone()]
            optimizer.step()
            optimizer.zero_grad()
        if watch is not None:
            watch.close()
            assert watch.failures == 0
            assert watch.budget.accounts["shared"].uses > 10
        ends.append([*found, *net.state_dict().values()])
        calls.append(called)
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))
    assert calls[0] == [False] * 20
    assert calls[1].count(False) == 20  # the others can tell that a probe is running


@pytest.mark.usefixtures("due")
def test_a_retained_gradient_that_is_there_already(tmp_path: Path) -> None:
    """A second total of the same tensor finds the gradient of the first as it was."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer, every=1) as watch:
        for x in batches(3):
            z = net.trunk(x)
            z.retain_grad()
            z.sum().backward(retain_graph=True)
            terms = {name: head(z).square().mean() for name, head in net.heads.items()}
            total = watch.total(terms, WEIGHTS)
            assert torch.equal(z.grad, torch.ones_like(z))
            total.backward()
    assert watch.budget.accounts["shared"].uses == 2


@pytest.mark.usefixtures("due")
def test_float16_is_measured_as_float32_is(tmp_path: Path) -> None:
    """A loss whose plain gradient would underflow has the norms of full precision."""
    norms = []
    for half in (False, True):
        torch.manual_seed(0)
        net = nn.ModuleDict({name: nn.Linear(8, 8) for name in ("trunk", "a", "b")})
        optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
        scaler = torch.amp.GradScaler("cpu", enabled=half)
        run = tmp_path / str(half)
        with Watch(run, model=net, optimizer=optimizer) as watch:
            for _ in range(3):
                with torch.autocast("cpu", dtype=torch.float16, enabled=half):
                    z = net["trunk"](torch.ones(4, 8)).tanh()
                    a, b = net["a"](z), net["b"](z)
                terms = {"a": a.float().square().mean() * 1e-8, "b": b.float().square().mean()}
                scaler.scale(watch.total(terms, {"a": 1e8, "b": 1.0})).backward()
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
        probes = [one for one in lines(run, "probe") if "norms" in one]
        assert all(one["finite"] == {"a": True, "b": True} for one in probes)
        assert poise.read_run(run).declared["weight_deviation"] == {"a": 0.0, "b": 0.0}
        norms.append({(one["step"], one["where"]): one["norms"] for one in probes})
        assert watch.failures == 0
    assert norms[0].keys() == norms[1].keys()
    for key, one in norms[0].items():
        assert norms[1][key] == pytest.approx(one, rel=1e-2)


@pytest.mark.usefixtures("due")
def test_what_the_edge_leaves_out_is_named(tmp_path: Path) -> None:
    """A term that shares no operation is ignored; a weight used a second time is beside."""
    torch.manual_seed(0)
    net = nn.ModuleDict({name: nn.Linear(4, 4) for name in ("trunk", "tied", "a", "b")})
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with Watch(tmp_path, model=net, optimizer=optimizer) as watch:
        for _ in range(2):
            z = net["tied"](net["trunk"](torch.ones(1, 4)).tanh()).tanh()
            terms = {
                "a": net["a"](z).sum(),
                "b": (net["b"](z) @ net["tied"].weight).sum(),
                "decay": net["trunk"].weight.square().sum(),
            }
            watch.total(terms).backward()
            optimizer.step()
    (edge,) = (one for one in lines(tmp_path, "probe") if one.get("where") == "edge")
    assert edge["ignored"] == ["decay"]
    assert edge["beside"] == ["tied.weight"]
    (shared,) = (one for one in lines(tmp_path, "probe") if one.get("where") == "shared")
    assert "beside" not in shared


def test_a_graph_that_cannot_be_passed_twice_is_told(tmp_path: Path) -> None:
    """As that of `torch.compile` with donated buffers: one event each, motion goes on."""

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401, ARG004
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]  # noqa: ANN401, ARG004
            if torch._C._autograd._get_current_graph_task_keep_graph():
                raise RuntimeError("expects that buffers are donated, retain_graph=False")
            return gradient

    net, optimizer = made()
    watch = Watch(tmp_path, model=net, optimizer=optimizer)

    def run() -> None:
        with watch:
            for x in batches(5):
                z = Once.apply(net.trunk(x))
                terms = {name: Once.apply(head(z)).mean() for name, head in net.heads.items()}
                watch.total(terms, WEIGHTS).backward()
                optimizer.step()

    with pytest.warns(PoiseWarning, match="buffers are donated"):
        run()
    events = lines(tmp_path, "event")
    assert [one["text"].partition(":")[0] for one in events] == ["shared", "edge"]
    assert all("GraphError" in one["text"] and "donated" in one["text"] for one in events)
    assert any("motion" in one for one in lines(tmp_path, "probe"))


def test_the_real_budget_measures_a_small_net(tmp_path: Path) -> None:
    """Shares, motion, response and averages all come within some hundred steps, unpatched."""
    net, optimizer = made()
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    averages = {"ema": average}
    with Watch(tmp_path, model=net, optimizer=optimizer, averages=averages) as watch:
        for x in batches(300):
            watch.total(net(x), WEIGHTS, again=lambda x=x: net(x)).backward()
            optimizer.step()
            optimizer.zero_grad()
            average.update_parameters(net)
    assert watch.failures == 0
    probes = lines(tmp_path, "probe")
    for key in ("norms", "update", "motion", "response", "averages"):
        assert any(key in one for one in probes), key
    assert poise.read_run(tmp_path).declared["ema_decay"] == pytest.approx(0.9, abs=1e-3)


def test_forks_cost_no_pass_of_their_own(tmp_path: Path) -> None:
    """A budget of 0 hears nothing; else forks are heard whatever the accounts say."""
    for budget in (0.0, 1e-9):
        net, optimizer = made()
        run = tmp_path / str(budget)
        with Watch(run, model=net, optimizer=optimizer, budget=budget) as watch:
            for x in batches(3):
                z = fork(net.trunk(x), list(WEIGHTS), name="z")
                terms = {name: head(z[name]).mean() for name, head in net.heads.items()}
                watch.total(terms, WEIGHTS).backward()
        heard = [one for one in lines(run, "probe") if one.get("where") == "fork:z"]
        assert len(heard) == (2 if budget else 0)


def test_accumulation_is_seen_at_every_phase(tmp_path: Path) -> None:
    """Measured micro-batches are not always the same one of a step."""
    net, optimizer = made()
    with Watch(tmp_path, model=net, optimizer=optimizer, every=8) as watch:
        measuring_always(watch)
        train(watch, net, optimizer, 120, accumulate=4)
    found = [one for one in lines(tmp_path, "probe") if one.get("where") == "shared"]
    assert {one["micro"] % 4 for one in found} == {0, 1, 2, 3}
