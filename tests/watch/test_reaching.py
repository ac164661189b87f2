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


@pytest.mark.parametrize("detached", [False, True])
def test_a_term_that_waits_for_its_start_is_mapped_when_it_starts(
    tmp_path: Path, detached: bool
) -> None:
    """At weight 0 it is measured without a graph and not accused; detached at its start it is."""
    from poise.objective import Objective, Term
    from poise.schedule import Linear

    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)

    def late(out: torch.Tensor) -> torch.Tensor:
        found = (out.detach() if detached else out).abs().mean()
        return found + 0 * out.sum() if detached and not out.requires_grad else found

    objective = Objective(
        Term("fit", lambda out: out.square().mean()),
        Term("late", late, weight=Linear(0.0, 1.0, start=20, stop=22), measure=True),
    )
    found: dict[int, set[str]] = {}
    for stop in (10, 30):
        run = tmp_path / str(stop)
        with Watch(run, model=model, optimizer=optimizer, total_steps=30) as watch:
            for step in range(stop):
                out = model(torch.ones(1, 2))
                if detached and step >= 20:
                    terms = {"fit": out.square().mean(), "late": late(out)}
                    total = watch.total(terms, objective.weights(step))
                else:
                    total = watch.total(objective(out, step=step))
                total.backward()
                optimizer.step()
                optimizer.zero_grad()
        diagnosis = poise.diagnose(run)
        found[stop] = {one.rule for one in diagnosis.findings}
    assert "term-reaches-nothing" not in found[10]
    assert ("term-reaches-nothing" in found[30]) is detached
    assert watch.failures == 0
