"""What is reached in trainings with several totals."""

from pathlib import Path

import pytest
import torch
from torch import nn

import poise
from poise.probe import Graph
from poise.watch import Watch
from poise.watch.reaching import Reaching
from tests.watch.loops import lines


def test_a_gan_has_no_dead_half(tmp_path: Path) -> None:
    """The critic's total does not reach the generator, the other one does: nothing is unreached."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"G": nn.Linear(2, 2), "D": nn.Linear(2, 1)})
    critic = torch.optim.SGD(model["D"].parameters(), 1e-2)
    maker = torch.optim.SGD(model["G"].parameters(), 1e-2)
    with Watch(tmp_path, model=model, optimizer=[critic, maker], terms=["d", "g"]) as watch:
        for _ in range(150):
            z = torch.randn(8, 2)
            critic.zero_grad()
            fake = model["G"](z).detach()
            watch.total({"d": model["D"](fake + 5).square().mean()}).backward()
            critic.step()
            maker.zero_grad()
            watch.total({"g": (model["G"](z) - 5).square().mean()}).backward()
            maker.step()
    declared = poise.read_run(tmp_path).declared
    assert not declared.get("unreached")
    assert declared["reach"] == {"d": ["D.weight", "D.bias"], "g": ["G.weight", "G.bias"]}
    moved = {name for one in lines(tmp_path, "probe") for name in one.get("motion", ())}
    assert moved == {"D", "G"}
    assert watch.failures == 0


@pytest.mark.parametrize("accumulate", [2, 4, 5, 10])
def test_every_task_in_turn_is_measured(tmp_path: Path, accumulate: int) -> None:
    """With as many tasks as micro-batches of a step, each has its norms before the 100th batch."""
    model = nn.ModuleDict({str(k): nn.Linear(2, 2) for k in range(accumulate)})
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    names = list(model)
    with Watch(tmp_path, model=model, optimizer=optimizer, terms=names) as watch:
        for index in range(60):
            name = names[index % accumulate]
            loss = model[name](torch.ones(1, 2)).square().mean()
            watch.total({name: loss}).backward()
            if index % accumulate == accumulate - 1:
                optimizer.step()
                optimizer.zero_grad()
    assert poise.read_run(tmp_path).declared["reach"] == {
        name: [f"{name}.weight", f"{name}.bias"] for name in names
    }
    assert watch.failures == 0


def test_the_latest_reach_of_each_total_counts() -> None:
    """What a term no longer reaches is told again, and what is frozen in one total only is not."""
    model = nn.ModuleDict({"G": nn.Linear(1, 1), "D": nn.Linear(1, 1)})
    x, reaching = torch.ones(1, 1), Reaching()
    both = Graph({"g": model["D"](model["G"](x)).sum()}, model).reach
    assert reaching.take("g", both)["unreached"] == []
    assert "g" in reaching
    model["G"].requires_grad_(requires_grad=False)
    only = Graph({"d": model["D"](model["G"](x)).sum()}, model).reach
    assert reaching.take("d", only)["frozen"] == []
    found = reaching.take("g", only)
    assert found["frozen"] == ["G.weight", "G.bias"]
    assert found["unreached"] == []
