"""Forks of the watched graph, and of others."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from poise.probe import fork
from poise.probe.collective import nodes_behind
from poise.watch import Watch
from poise.watch.hearing import Hearing
from tests.watch.loops import lines


@pytest.mark.parametrize("name", ["same", "other"])
def test_forks_of_unwatched_models_stay_out(tmp_path: Path, name: str) -> None:
    """Even if they have the same name and the same terms."""
    mine, theirs = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = torch.optim.SGD(mine.parameters(), 0.1)
    with Watch(tmp_path, model=mine, optimizer=optimizer) as watch:
        for _ in range(5):
            z = fork(mine(torch.ones(1, 2)), ["a", "b"], name="same")
            watch.total({"a": z["a"].sum(), "b": z["b"].sum()}).backward()
            y = fork(1000 * theirs(torch.ones(1, 2)), ["a", "b"], name=name)
            (y["a"].sum() + 5 * y["b"].sum()).backward()
            optimizer.step()
            optimizer.zero_grad()
    found = [one for one in lines(tmp_path, "probe") if "fork" in str(one.get("where"))]
    assert [one["where"] for one in found] == ["fork:same"] * 3
    assert all(one["norms"] == pytest.approx({"a": 2**0.5, "b": 2**0.5}) for one in found)
    assert watch.failures == 0


def test_a_fork_inside_a_checkpoint_is_heard() -> None:
    """Its own backward pass runs inside the checkpoint's node."""
    x = torch.ones(2, requires_grad=True)

    def inner(one: torch.Tensor) -> torch.Tensor:
        parts = fork(one, ["a", "b"], name="hidden")
        return parts["a"].sum() + parts["b"].sum()

    total = checkpoint(inner, x, use_reentrant=True)
    hearing = Hearing()
    hearing.begin(nodes_behind(total))
    total.backward()
    assert [one.where for one in hearing.end()] == ["fork:hidden"]
    assert hearing.end() == []
