"""A tiny training with two terms, and how its record is read."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from poise.watch import Watch

WEIGHTS = {"a": 1.0, "b": 0.25}


class Net(nn.Module):
    """A trunk with dropout and batch norm, and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2))
        self.heads = nn.ModuleDict({name: nn.Linear(8, 1) for name in WEIGHTS})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Loss of every head."""
        z = self.trunk(x)
        return {name: (head(z) - len(name)).square().mean() for name, head in self.heads.items()}


def made(seed: int = 0, lr: float = 0.01) -> tuple[Net, torch.optim.Optimizer]:
    """A net that is the same for the same seed, and its optimizer."""
    torch.manual_seed(seed)
    net = Net()
    return net, torch.optim.AdamW(net.parameters(), lr)


def batches(count: int) -> Iterator[Tensor]:
    """The same inputs every time."""
    generator = torch.Generator().manual_seed(7)
    for _ in range(count):
        yield torch.randn(6, 4, generator=generator)


def train(
    watch: Watch,
    net: Net,
    optimizer: torch.optim.Optimizer,
    count: int,
    *,
    accumulate: int = 1,
    between: Callable[[int], object] = lambda _: None,
) -> None:
    """Trains; `between` is called before each optimizer step's turn."""
    for index, x in enumerate(batches(count)):
        watch.total(net(x), WEIGHTS).backward()
        between(index)
        if (index + 1) % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()


def measuring_always(watch: Watch) -> Watch:
    """The watch, measuring at every candidate: what a test sees must not depend on a clock."""
    watch.budget.fraction = 1e6
    for account in watch.budget.accounts.values():
        account.part = 1e6
    return watch


def lines(run: Path, kind: str = "step") -> list[dict[str, Any]]:
    """The records of one kind."""
    found = [json.loads(one) for one in (run / "run.jsonl").read_text().splitlines()]
    return [one for one in found if one["kind"] == kind]
