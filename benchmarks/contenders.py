"""The balancers that `benchmarks/outcome.py` trains with, and one training."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from poise.balance import (
    Balancer,
    GradientRule,
    GradientShare,
    GradNorm,
    Method,
    RunningMean,
    Scalarizer,
    Uncertainty,
    ValueRule,
)
from problems import Case, Problem
from progress import by_progress

Make = Callable[[Problem], Balancer | None]

EVERY = {"cagrad": 5, "nash": 5, "fairgrad": 5}
"""Methods whose solvers are slow, and how often they are asked; held in between."""
AT_GRADIENTS = [
    "upgrad",
    "pcgrad",
    "mgda",
    "cagrad",
    "nash",
    "imtl_g",
    "aligned",
    "fairgrad",
    "gradvac",
    "dualproj",
    "config",
    "pcd",
    "excess",
    "cr_mogm",
    "random",
]
"""All of `Method` but `mean` and `sum`, which are the plain sum."""
AT_VALUES = ["uw", "imtl_l", "geometric_mean", "stch", "cosmos", "pbi", "random"]
"""With `dwa` and `famo` all of `Scalarizer` but `mean`, `sum` and `constant`: plain weights."""


class FirstValues(ValueRule):
    """Constant weights that make all terms 1 at the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Tensor | None = None

    def forward(self, values: Tensor, terms: tuple[str, ...]) -> Tensor:  # noqa: ARG002
        """The weighted sum."""
        if self.first is None:
            self.first = values.detach().clone()
        return (values / self.first).sum()


def at_gradients(name: str) -> Make:
    """A method that works on inner products of gradients."""
    return lambda problem: Method(name, problem.names, every=EVERY.get(name, 1))


def at_values(name: str) -> Make:
    """A method that works on values."""
    return lambda problem: Scalarizer(name, problem.names)


def equal(names: Sequence[str]) -> dict[str, float]:
    """The same for all."""
    return dict.fromkeys(names, 1.0)


def most_to_last(names: Sequence[str]) -> dict[str, float]:
    """A share of 0.7 for the last term; the others divide the rest."""
    return {**dict.fromkeys(names[:-1], 0.3 / (len(names) - 1)), names[-1]: 0.7}


METHODS: dict[str, Make] = {
    "plain sum": lambda problem: None,  # noqa: ARG005
    "plain, 1 over first value": lambda problem: Balancer(problem.names, FirstValues()),
    "shares as declared": lambda problem: GradientShare(problem.shares),
    "equal shares": lambda problem: GradientShare(equal(problem.names)),
    "shares, 70% to the last": lambda problem: GradientShare(most_to_last(problem.names)),
    "declared shares by need": lambda problem: by_progress(problem.shares),
    "equal shares by need": lambda problem: by_progress(equal(problem.names)),
    "`GradNorm`": lambda problem: GradNorm(problem.names),
    "`Uncertainty`": lambda problem: Uncertainty(problem.names),
    "`RunningMean`": lambda problem: RunningMean(equal(problem.names)),
    "`dwa` of values": at_values("dwa"),
    "`famo` of values": at_values("famo"),
    **{f"`{name}`": at_gradients(name) for name in AT_GRADIENTS},
    **{f"`{name}` of values": at_values(name) for name in AT_VALUES},
}
"""What the first column of the tables says, and how it is made."""


def final_of(problem: Problem, make: Make, seed: int, steps: int) -> dict[str, float]:
    """Trains once, and returns what is reported."""
    case = problem.start(seed)
    torch.manual_seed(1000 + seed)
    balance = make(problem)
    own = [] if balance is None else list(balance.parameters())
    optimizer = problem.optimizer([*case.parameters, *own])
    for step in range(1, steps + 1):
        case.draw()
        total_of(case, balance, problem.names).backward()
        optimizer.step()
        optimizer.zero_grad()
        looked_back(case, balance, problem, step)
    return case.final()


def total_of(case: Case, balance: Balancer | None, names: Sequence[str]) -> Tensor:
    """What is passed backward."""
    z = case.trunk()
    if balance is None:
        return sum(case.terms(dict.fromkeys(names, z)).values())
    if isinstance(balance.rule, GradientRule):
        return balance.total(case.terms(balance.fork(z)))
    return balance.total(case.terms(dict.fromkeys(names, z)))


def looked_back(case: Case, balance: Balancer | None, problem: Problem, step: int) -> None:
    """What FAMO and DWA want to hear after a step."""
    if balance is None or isinstance(balance.rule, GradientRule):
        return
    line = getattr(balance.rule, "line", None)
    if line is not None and line.name == "famo":
        with torch.no_grad():
            balance.rule.update(case.terms(dict.fromkeys(problem.names, case.trunk())))
    if line is not None and line.name == "dwa" and step % problem.epoch == 0:
        balance.rule.epoch()
