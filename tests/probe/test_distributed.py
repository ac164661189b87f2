"""Forks and probes in a data-parallel training of two processes."""

import pytest

from tests.two_processes import both

CODE = """
import json, os, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as Parallel
from poise.probe import Fork, Graph, at_bottleneck, at_shared
from tests.probe.nets import batch, net

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)

def trained(way, missing):
    model, split = net(0), Fork(["a", "b"])
    parallel = Parallel(model, find_unused_parameters=missing)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for step in range(3):
        terms = parallel(batch(10 * step + rank), split if way == "fork" else None)
        if missing and rank == 1:
            terms.pop("b")
        if way == "probe":
            graph = Graph(terms, model)
            assert len(terms) == 1 or graph.reach.owned["a"] == ("heads.a.weight", "heads.a.bias")
            at_shared(graph, optimizer=optimizer)
            if len(terms) == 2:
                assert at_bottleneck(graph, graph.bottleneck()).where == "edge"
        sum(terms.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    norms = split.last.norms if split.last else None
    return [one.tolist() for one in model.parameters()], norms

found = {}
for missing in (False, True):
    kind = "missing" if missing else "all"
    found[kind] = {way: trained(way, missing) for way in ("plain", "fork", "probe")}
print(json.dumps(found), flush=True)
dist.destroy_process_group()
os._exit(0)  # a thread of torch that wants the interpreter while it ends would abort the process
"""

Found = dict[str, dict[str, tuple[list[object], dict[str, float]]]]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What two processes find, with all terms on both and with one missing on the second."""
    return both(CODE, tmp_path_factory.mktemp("ranks") / "meet")


@pytest.mark.parametrize("kind", ["all", "missing"])
def test_ranks_stay_together(ranks: list[Found], kind: str) -> None:
    """With a fork and with probes, both ranks hold the bits of the plain training."""
    first, second = (one[kind] for one in ranks)
    plain = first["plain"][0]
    assert all(
        one[way][0] == plain for one in (first, second) for way in ("plain", "fork", "probe")
    )


def test_each_rank_measures_its_own_batch(ranks: list[Found]) -> None:
    """Readings differ between ranks, and name the terms that the rank has."""
    first, second = (one["all"]["fork"][1] for one in ranks)
    assert first.keys() == second.keys() == {"a", "b"}
    assert first != second
    assert [set(one["missing"]["fork"][1]) for one in ranks] == [{"a", "b"}, {"a"}]
