"""Sharded trainings of two processes: what is measured equals one process on the joint batch."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from poise.errors import GraphError
from poise.probe import Fork, Graph, MotionProbe, ResponseProbe, at_shared, gradients_at
from poise.probe.sharded import own_part, refuse_sharded, sharded, summed
from tests.probe.nets import Net, batch, net
from tests.two_processes import both

CODE = """
import json, os, sys
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard, distribute_tensor
from poise.errors import ForkError, GraphError
from poise.probe import Fork, Graph, MotionProbe, ResponseProbe, gradients_at, guard, update_share
from tests.probe.nets import batch, net

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))

def refused(kind, act):
    try:
        act()
    except kind as error:
        return str(error)
    return "accepted"

def fully(again):
    model, split = net(0), Fork(["a", "b"])
    fully_shard(model.trunk, mesh=mesh, reshard_after_forward=again)
    fully_shard(model, mesh=mesh, reshard_after_forward=again)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    response = ResponseProbe(lambda: model(batch(rank)), model, together=True)
    motion = MotionProbe(model, optimizer, together=True)
    found = {"motion": [], "products": [], "response": []}
    for step in range(2):
        response.before()
        terms = model(batch(rank), split)
        found["graph"] = refused(GraphError, lambda: Graph(terms, model))
        found["bare"] = refused(GraphError, lambda: Graph(terms))
        sum(terms.values()).backward()
        kept = [one.grad.to_local().clone() for one in model.parameters()]
        with guard(model, copy_gradients=True):
            model.zero_grad(set_to_none=False)
        pairs = zip(kept, model.parameters(), strict=True)
        assert all(torch.equal(one, other.grad.to_local()) for one, other in pairs)
        found["alone"] = refused(GraphError, MotionProbe(model).before)
        found["repeated"] = refused(GraphError, ResponseProbe(dict, model).mark)
        motion.before()
        optimizer.step()
        moved = motion.after()
        found["motion"].append([moved.of_parameters, moved.of_groups, list(moved.still)])
        optimizer.zero_grad()
        found["products"].append(split.last.gramian)
        found["response"].append(response.after().change)
    for one in (model.trunk, model):
        one.reshard()  # the last forward pass had no backward pass that does it
    gradients = {"a": [one.detach() for one in model.parameters()]}
    update = update_share(optimizer, list(model.parameters()), gradients)
    found["update"] = update.reason
    found["parameters"] = [one.full_tensor().tolist() for one in model.parameters()]
    return found

def tensors():
    weight = torch.arange(10.0).view(5, 2)
    w = torch.nn.Parameter(distribute_tensor(weight, mesh, [Shard(0)]))
    x = torch.ones(2)
    terms = {"a": (w * w).sum().full_tensor(), "b": w.sum().full_tensor()}
    model = torch.nn.ParameterDict({"w": w})
    motion = MotionProbe(model, together=True)
    motion.before()
    with torch.no_grad():
        w.to_local()[:1] += 1.0 + rank
    return {
        "graph": refused(GraphError, lambda: Graph(terms, model)),
        "place": refused(GraphError, lambda: gradients_at(terms, [w])),
        "fork": refused(ForkError, lambda: Fork(["a", "b"], name="trunk")(w * 1)),
        "local": list(Fork(["a", "b"])((w * 1).to_local())),
        "motion": motion.after().of_parameters["w"],
    }

found = {"again": fully(True), "once": fully(False), "tensors": tensors()}
print(json.dumps(found), flush=True)
dist.barrier()  # neither leaves while the other is still in a collective
dist.destroy_process_group()
os._exit(0)  # a thread of torch that wants the interpreter while it ends would abort the process
"""

Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What two processes find."""
    return both(CODE, tmp_path_factory.mktemp("ranks") / "meet")


class Joint:
    """The same training in one process, on both batches at once."""

    def __init__(self) -> None:
        self.model: Net = net(0)
        self.motion: list[Any] = []
        self.products: list[Any] = []
        self.response: list[dict[str, float]] = []
        both, split = torch.cat([batch(0), batch(1)]), Fork(["a", "b"])
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.5, momentum=0.9)
        motion = MotionProbe(self.model, optimizer)
        response = ResponseProbe(lambda: self.model(both), self.model)
        for _ in range(2):
            response.before()
            sum(self.model(both, split).values()).backward()
            motion.before()
            optimizer.step()
            moved = motion.after()
            self.motion.append([moved.of_parameters, moved.of_groups, list(moved.still)])
            optimizer.zero_grad()
            assert split.last is not None
            self.products.append(split.last.gramian)
            self.response.append(response.after().change)


@pytest.fixture(scope="module")
def joint() -> Joint:
    """What one process finds."""
    return Joint()


@pytest.mark.parametrize("kind", ["again", "once"])
def test_the_training_is_the_joint_one(ranks: list[Found], joint: Joint, kind: str) -> None:
    """Under `fully_shard`, forks and probes leave the training that of one process."""
    for found in ranks:
        for one, other in zip(found[kind]["parameters"], joint.model.parameters(), strict=True):
            torch.testing.assert_close(torch.tensor(one), other.detach())


@pytest.mark.parametrize("kind", ["again", "once"])
def test_forks_add_up_to_the_joint_reading(ranks: list[Found], joint: Joint, kind: str) -> None:
    """Products of all ranks, summed and divided by their number squared, are the joint ones."""
    first, second = (torch.tensor(one[kind]["products"]) for one in ranks)
    assert not torch.equal(first, second)
    torch.testing.assert_close((first + second) / 4, torch.tensor(joint.products))


@pytest.mark.parametrize("kind", ["again", "once"])
def test_motion_is_that_of_whole_parameters(ranks: list[Found], joint: Joint, kind: str) -> None:
    """Measured together, every rank has the motion of the joint training."""
    for found in ranks:
        for got, expected in zip(found[kind]["motion"], joint.motion, strict=True):
            assert got[0] == pytest.approx(expected[0], rel=1e-4)
            assert got[1] == pytest.approx(expected[1], rel=1e-4)
            assert got[2] == expected[2]


@pytest.mark.parametrize("kind", ["again", "once"])
def test_response_is_the_mean_of_the_ranks(ranks: list[Found], joint: Joint, kind: str) -> None:
    """The change of each term on the joint batch is the mean of those of the ranks."""
    first, second = (one[kind]["response"] for one in ranks)
    for one, other, expected in zip(first, second, joint.response, strict=True):
        mean = {name: (one[name] + other[name]) / 2 for name in one}
        assert mean == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", ["again", "once"])
def test_what_needs_all_processes_is_refused(ranks: list[Found], kind: str) -> None:
    """Graphs, lone motion and update shares of sharded parameters say why not."""
    for found in ranks:
        assert "got sharded ones (fully_shard or DTensor)" in found[kind]["graph"]
        assert "use poise.fork at the trunk's output" in found[kind]["graph"]
        assert "pass together=True if all processes" in found[kind]["alone"]
        assert "got one under fully_shard; pass together=True" in found[kind]["repeated"]
        assert found[kind]["update"] == (
            "the parameters are sharded: no process holds a whole gradient"
        )


def test_a_graph_without_a_model_shows_emptied_parameters(ranks: list[Found]) -> None:
    """Parameters that were given back after the forward pass are seen without the model."""
    assert all("got sharded ones" in found["again"]["bare"] for found in ranks)


def test_distributed_tensors(ranks: list[Found]) -> None:
    """DTensor parameters: probes and forks refuse them, motion adds up the parts."""
    before = torch.arange(10.0).view(5, 2)
    after = before.clone()
    after[0] += 1.0
    after[3] += 2.0
    moved = float((after - before).norm() / before.norm())
    for found in (one["tensors"] for one in ranks):
        assert "got sharded ones" in found["graph"]
        assert "got sharded ones" in found["place"]
        assert found["fork"].startswith("fork 'trunk': expected a tensor that this process holds")
        assert found["local"] == ["a", "b"]
        assert found["motion"] == pytest.approx(moved)


def test_ordinary_tensors_are_whole() -> None:
    """In one process nothing is sharded, and sparse or empty leaves are no sign of it."""
    sparse = torch.eye(2).to_sparse().requires_grad_()
    plain = torch.ones(2, requires_grad=True)
    refuse_sharded(nn.Linear(1, 1), [plain, sparse, torch.ones(0)])
    assert own_part(plain) is plain
    assert not sharded(plain)
    numbers: Tensor = torch.ones(3)
    assert summed(numbers, plain) is numbers
    graph = Graph({"a": plain.sum(), "b": plain.square().sum()})
    assert at_shared(graph).gradients.norms == gradients_at(graph.terms, [plain]).norms


def test_flat_parameters_are_sharded_ones() -> None:
    """`FullyShardedDataParallel` gives its parameters no class, only a mark."""
    flat = torch.nn.Parameter(torch.ones(3))
    refuse_sharded(None, [flat])
    flat._is_flat_param = True  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] -- as torch does
    with pytest.raises(GraphError, match="expected parameters that this process holds whole"):
        refuse_sharded(None, [flat])
