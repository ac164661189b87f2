"""Models and surroundings in which every probe has to leave no trace."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from poise.probe import probing
from tests.probe.nets import batch

Terms = dict[str, Tensor]


class Stop(Exception):
    """Ends a probe in the middle."""


class Small(nn.Module):
    """A trunk, a layer that the situation chooses, and two heads."""

    def __init__(self, middle: nn.Module | None = None) -> None:
        super().__init__()
        self.trunk = nn.Linear(6, 6)
        self.middle = middle or nn.Tanh()
        self.heads = nn.ModuleDict({name: nn.Linear(6, 6) for name in "ab"})
        self.fails = False

    def forward(self, x: Tensor) -> Terms:
        """The terms; `fails` makes a probe's own pass through the trunk end with Stop."""
        z = self.middle(self.trunk(x))
        if self.fails and probing():
            raise Stop
        if z.requires_grad:
            z.register_hook(self.end)
        return {name: head(z).square().mean() for name, head in self.heads.items()}

    def end(self, _: Tensor) -> None:
        """A user's hook that does not expect a probe."""
        if self.fails and probing():
            raise Stop


class Table(Small):
    """Looks its input up in a table with sparse gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6, sparse=True)

    def forward(self, x: Tensor) -> Terms:
        """As Small, with what is looked up."""
        return super().forward(self.table(x[:, 0].mul(3).abs().clamp(max=19).long()))


class Wave(Small):
    """Has a complex parameter in its trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Parameter(torch.randn(6, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Terms:
        """As Small, with what is turned."""
        return super().forward((x * self.turn).abs())


class Twice(Small):
    """Passes its trunk twice for one step."""

    def forward(self, x: Tensor) -> Terms:
        """The sums of the terms of two passes."""
        first, second = super().forward(x), super().forward(x.tanh())
        return {name: one + second[name] for name, one in first.items()}


class Bare(Small):
    """Has no parameters at all; its input has a gradient."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.middle = nn.Tanh()
        self.fails = False
        self.trunk = self.heads = nn.Identity()
        self.given = batch().requires_grad_()

    def forward(self, x: Tensor) -> Terms:
        """Two terms of the input."""
        z = self.middle(self.given)
        if self.fails and probing():
            raise Stop
        if z.requires_grad:
            z.register_hook(self.end)
        return {"a": z.square().mean(), "b": z.abs().sum()}


def tied() -> Small:
    """A head shares the trunk's weight, and another head its bias."""
    model = Small()
    model.heads["a"].weight = model.trunk.weight
    model.heads["b"].bias = model.trunk.bias
    return model


def nested() -> Small:
    """Batch normalisation in evaluation mode within a model in training mode."""
    model = Small(nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.3), nn.BatchNorm1d(6)))
    model.middle[0].eval()
    return model


@dataclass(frozen=True)
class Situation:
    """A model, and what surrounds the probe."""

    make: Callable[[], Small]
    accumulated: bool = False
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    uses: int = 1
    backwards: int = 1


def spectral() -> Small:
    """A layer whose buffers change with every forward pass."""
    return Small(torch.nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6)))


SITUATIONS: dict[str, Situation] = {
    "grad is None": Situation(Small),
    "accumulated grad": Situation(Small, accumulated=True),
    "batch norm": Situation(lambda: Small(nn.BatchNorm1d(6))),
    "batch norm, accumulated": Situation(lambda: Small(nn.BatchNorm1d(6)), accumulated=True),
    "spectral norm": Situation(spectral),
    "dropout": Situation(lambda: Small(nn.Dropout(0.5))),
    "mixed modes": Situation(nested, accumulated=True),
    "retain graph": Situation(lambda: Small(nn.Dropout(0.5)), backwards=3),
    "tied weights": Situation(tied, accumulated=True),
    "sparse gradients": Situation(Table, accumulated=True),
    "complex parameters": Situation(Wave, accumulated=True),
    "no parameters": Situation(Bare),
    "two passes": Situation(Twice),
    "used twice": Situation(lambda: Small(nn.BatchNorm1d(6)), uses=2, accumulated=True),
    "no_grad": Situation(lambda: Small(nn.BatchNorm1d(6)), around=torch.no_grad, accumulated=True),
    "inference_mode": Situation(
        lambda: Small(nn.BatchNorm1d(6)), around=torch.inference_mode, accumulated=True
    ),
}


@dataclass
class Step:
    """One training step up to its backward pass."""

    situation: Situation
    model: Small = field(init=False)
    optimizer: torch.optim.Optimizer | None = field(init=False)
    terms: Terms = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        self.model = self.situation.make()
        parameters = list(self.model.parameters())
        self.optimizer = torch.optim.SGD(parameters, lr=0.1) if parameters else None
        if self.situation.accumulated:
            sum(self.model(batch(1)).values()).backward()
            next(self.model.parameters()).register_hook(lambda gradient: gradient * 2)
        self.terms = self.model(batch(2))

    def finish(self) -> list[Tensor]:
        """The training's own backward passes and step, another forward pass, and all results."""
        for left in reversed(range(self.situation.backwards)):
            sum(self.terms.values()).backward(retain_graph=left > 0)
        gradients = [dense(one.grad) for one in self.model.parameters()]
        if self.optimizer is not None:
            self.optimizer.step()
        again = [one.detach() for one in self.model(batch(3)).values()]
        return [
            *gradients,
            *again,
            *(one.detach() for one in self.model.parameters()),
            *self.model.buffers(),
            torch.rand(3),
            torch.tensor([random.random(), np.random.rand()]),
        ]


def dense(one: Tensor | None) -> Tensor:
    """A copy to compare; empty for no gradient."""
    if one is None:
        return torch.zeros(0)
    return one.to_dense().clone() if one.layout != torch.strided else one.clone()
