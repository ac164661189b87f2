"""The table of all balancers, and steps to take with them."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from poise.balance import Fixed, GradNorm, RunningMean, Uncertainty
from poise.balance.balancer import Balancer
from poise.balance.method import METHODS, Method
from poise.balance.rule import ValueRule
from poise.balance.scalarizer import SCALARIZERS, Scalarizer
from poise.balance.share import GradientShare
from poise.errors import PoiseWarning

NAMES = ("a", "b", "c")
TIGHT = {"mgda": {"epsilon": 1e-9, "max_iters": 3000}}
"""Options with which an iterative method comes close enough to what it promises."""

Names = tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One balancer."""

    name: str
    make: Callable[[Names, int], Balancer]
    promises: frozenset[str] = frozenset()

    @property
    def by_values(self) -> bool:
        """Does it look at values only?"""
        return isinstance(self.make(NAMES, 0).rule, ValueRule)


def running_mean(names: Names, _: int) -> Balancer:
    """The normaliser, without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PoiseWarning)
        return RunningMean(dict.fromkeys(names, 1.0))


def by_method(name: str) -> Callable[[Names, int], Balancer]:
    """Makes a balancer by a published method."""
    return lambda names, seed: Method(name, names, seed=seed)


def by_scalarizer(name: str) -> Callable[[Names, int], Balancer]:
    """Makes a balancer by a scalarizer."""
    return lambda names, seed: Scalarizer(name, names, seed=seed)


POSITIVE = frozenset({"equivariant", "nonnegative"})
CASES = [
    Case("Fixed", lambda names, _: Fixed(dict.fromkeys(names, 2.0)), POSITIVE),
    Case(
        "GradientShare",
        lambda names, _: GradientShare(dict.fromkeys(names, 1.0)),
        POSITIVE | {"own scale"},
    ),
    Case("GradNorm", lambda names, _: GradNorm(names), POSITIVE),
    Case("Uncertainty", lambda names, _: Uncertainty(names), POSITIVE),
    Case("RunningMean", running_mean, POSITIVE),
    *(Case(row.name, by_method(row.name), frozenset(row.promises)) for row in METHODS.values()),
    *(
        Case(
            f"scalarizer {line.name}",
            by_scalarizer(line.name),
            frozenset() if line.random else frozenset({"equivariant"}),
        )
        for line in SCALARIZERS.values()
    ),
]
GRADIENTS = [case for case in CASES if not case.by_values]


def over(cases: list[Case], promise: str = "") -> pytest.MarkDecorator:
    """Runs a test for each case that gives the promise."""
    kept = [case for case in cases if not promise or promise in case.promises]
    return pytest.mark.parametrize("case", kept, ids=lambda case: case.name)


def vectors(seed: int, names: Names = NAMES, length: int = 12) -> dict[str, Tensor]:
    """A gradient by term, with some conflict."""
    drawn = torch.randn(
        len(names), length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return dict(zip(names, drawn, strict=True))


VALUES = {"a": 0.7, "b": 1.9, "c": 3.1, "d": 0.4}


def step(
    balancer: Balancer,
    gradients: Mapping[str, Tensor],
    values: Mapping[str, float] = VALUES,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """One step in which the terms have these gradients at the fork; returns the sum there."""
    length = len(next(iter(gradients.values())))
    z = torch.zeros(length, dtype=dtype, requires_grad=True)
    by_values = isinstance(balancer.rule, ValueRule)
    parts = dict.fromkeys(gradients, z) if by_values else balancer.fork(z)
    terms = {
        name: (parts[name] * one.to(dtype)).sum() + values[name] for name, one in gradients.items()
    }
    balancer.total(terms).backward()
    assert z.grad is not None
    return z.grad


def weights(balancer: Balancer, names: Names = NAMES) -> Tensor:
    """The weights as a vector."""
    return torch.tensor([balancer.weights[name] for name in names], dtype=torch.float64)
