"""Two ranks of one training."""

import json
import math
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import poise
from poise.watch.distributed import Ranks, reduced

RANK = """
import os, sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from poise.watch import Watch
torch.set_num_threads(1)
rank, port, run, dies = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "dies"
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
torch.manual_seed(0)
net = torch.nn.Linear(2, 2)
model = DistributedDataParallel(net)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with Watch(run, model=net, optimizer=optimizer, every=4) as watch:
    for index in range(10):
        out = model(torch.ones(1, 2))
        terms = {"a": out[0, 0] * 0 + rank + index, "b": out[0, 1].square()}
        if rank == 1:
            terms["only"] = torch.tensor(5.0)
        watch.total(terms, counts={"a": 1 + rank}).backward()
        optimizer.step()
        optimizer.zero_grad()
        if dies and rank == 1 and index == 5:
            os._exit(3)
    with watch.evaluation(), torch.no_grad():
        for _ in range(1 + rank):
            watch.total({"a": torch.tensor(float(rank))}, counts={"a": 1 + rank})
assert watch.failures == 0
checks = [torch.zeros_like(net.weight) for _ in range(2)]
dist.all_gather(checks, net.weight.detach())
assert torch.equal(*checks)
dist.destroy_process_group()
os._exit(0)  # a thread of torch that wants the interpreter while it ends would abort the process
"""


def start(run: Path, mode: str = "") -> list[subprocess.Popen[str]]:
    """Both ranks."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(port), str(run), mode],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def test_two_ranks_write_one_record(tmp_path: Path) -> None:
    """Values are means over the ranks that have them, counts are sums; gradients stay in step."""
    ranks = start(tmp_path)
    errors = [one.communicate(timeout=120)[1] for one in ranks]
    assert [one.returncode for one in ranks] == [0, 0], errors
    found: list[dict[str, Any]] = [
        json.loads(one) for one in (tmp_path / "run.jsonl").read_text().splitlines()
    ]
    steps = [one for one in found if one["kind"] == "step"]
    assert [one["terms"]["a"] for one in steps] == [index + 0.5 for index in range(10)]
    assert all(one["terms"]["only"] == 5.0 for one in steps)
    assert all(one["counts"] == {"a": 3.0} for one in steps)
    assert [one["step"] for one in steps] == list(range(10))
    assert all(one["lr"] == [0.1] for one in steps)
    (evaluation,) = (one for one in found if one["kind"] == "eval")
    assert evaluation["terms"] == {"a": 0.8}  # one batch of 0 with count 1, two of 1 with count 2
    assert evaluation["counts"] == {"a": 5.0}
    assert any(one["kind"] == "probe" for one in found)
    assert found[1]["declared"]["watch"]["ranks"] == 2


def test_a_rank_that_dies_leaves_the_record_of_the_other(tmp_path: Path) -> None:
    """The training ends with an error and does not hang; what was brought together is kept."""
    ranks = start(tmp_path, "dies")
    for one in ranks:
        one.communicate(timeout=120)
    assert ranks[0].returncode not in (0, None)
    values = poise.read_run(tmp_path).train.series["a"].values
    assert values[:4].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert len(values) >= 6


def test_one_rank_alone_is_what_it_is() -> None:
    """Without torch.distributed nothing is brought together."""
    ranks = Ranks()
    assert ranks.writes
    assert ranks.gather("mine") == ["mine"]
    ranks.part()


@pytest.mark.parametrize(
    ("group", "values", "expected"),
    [
        ("terms", (1.0, 3.0), 2.0),
        ("counts", (1.0, 3.0), 4.0),
        ("lr", (1.0, 3.0), 1.0),
        ("at", (7.0, 7.0), 7.0),
        ("skipped", (0.0, 1.0), 0.0),
        ("lost", (0.0, math.nan), 0.0),
    ],
)
def test_reduction(group: str, values: tuple[float, float], expected: float) -> None:
    """Each group is reduced as its meaning asks."""
    assert reduced([[{(group, "x"): one}] for one in values]) == [{(group, "x"): expected}]
