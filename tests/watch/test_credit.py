"""What is measured at once where steps are slow, and what must be paid for first."""

from pathlib import Path

import torch
from torch import nn

from poise.watch import Watch


class Slow:
    """A clock by which everything takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        self.now += 1.0
        return self.now


def test_the_cheap_measurement_comes_first(tmp_path: Path) -> None:
    """One tensor carries all terms: shares are known there at once, however slow the steps are."""
    torch.manual_seed(0)
    trunk, heads = nn.Linear(4, 8), nn.ModuleDict({name: nn.Linear(8, 1) for name in "abcd"})
    model = nn.ModuleDict({"trunk": trunk, "heads": heads})
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with Watch(tmp_path, model=model, optimizer=optimizer) as watch:
        watch.budget._clock = Slow()
        for _ in range(10):
            z = torch.tanh(trunk(torch.randn(6, 4)))
            watch.total({name: head(z).square().mean() for name, head in heads.items()}).backward()
            optimizer.step()
            optimizer.zero_grad()
        uses = {name: one.uses for name, one in watch.budget.accounts.items()}
    assert uses["edge"] > 0
    assert uses["shared"] == 0
