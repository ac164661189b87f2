"""What training with each balancer comes to: final losses by term, five seeds, with their spread.

The problems are described in `problems.py`. Everything but the weights is the same for all methods:
the optimizer and its learning rate, batches, seeds, steps. Heads keep their own unscaled gradients
with the methods that look at gradients, and get the weights with those that look at values.

    python benchmarks/outcome.py [PROBLEM ...] [--seeds 5] [--steps N] [--methods NAME ...]
"""

import argparse
import math
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch
from torch import Tensor

from poise.balance import (
    Balancer,
    GradientRule,
    GradientShare,
    GradNorm,
    Method,
    Scalarizer,
    Uncertainty,
    ValueRule,
)
from problems import PROBLEMS, Case, Problem

FEWER = ("incident",)
"""Problems on which only the methods in `SOME` run, to stay within the time."""
SOME = ("plain sum", "shares as declared", "equal shares", "`upgrad`")

Make = Callable[[Problem], Balancer | None]


def named(method: str, **options: int) -> Make:
    """A method that works on inner products of gradients."""
    return lambda problem: Method(method, problem.names, **options)


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


def most_to_last(names: Sequence[str]) -> dict[str, float]:
    """A share of 0.7 for the last term; the others divide the rest."""
    return {**dict.fromkeys(names[:-1], 0.3 / (len(names) - 1)), names[-1]: 0.7}


METHODS: dict[str, Make] = {
    "plain sum": lambda problem: None,  # noqa: ARG005
    "plain, 1 over first value": lambda problem: Balancer(problem.names, FirstValues()),
    "shares as declared": lambda problem: GradientShare(problem.shares),
    "equal shares": lambda problem: GradientShare(dict.fromkeys(problem.names, 1.0)),
    "shares, 70% to the last": lambda problem: GradientShare(most_to_last(problem.names)),
    "`upgrad`": named("upgrad"),
    "`pcgrad`": named("pcgrad"),
    "`mgda`": named("mgda"),
    "`cagrad`": named("cagrad", every=5),
    "`nash`": named("nash", every=5),
    "`imtl_g`": named("imtl_g"),
    "`aligned`": named("aligned"),
    "`fairgrad`": named("fairgrad", every=5),
    "`GradNorm`": lambda problem: GradNorm(problem.names),
    "`dwa`": lambda problem: Scalarizer("dwa", problem.names),
    "`famo`": lambda problem: Scalarizer("famo", problem.names),
    "`Uncertainty`": lambda problem: Uncertainty(problem.names),
}


@dataclass(slots=True)
class Tally:
    """What one method came to.

    Attributes:
        final: By seed, the reported numbers.
        failed: What the exceptions said that ended a training.
    """

    final: list[dict[str, float]]
    failed: list[str]


def trained(problem: Problem, make: Make, seed: int, steps: int) -> dict[str, float]:
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


def tallied(problem: Problem, make: Make, seeds: int, steps: int) -> Tally:
    """All seeds of one method."""
    tally = Tally([], [])
    for seed in range(seeds):
        try:
            tally.final.append(trained(problem, make, seed, steps))
        except (ArithmeticError, RuntimeError, ValueError) as error:
            tally.failed.append(f"seed {seed}: {type(error).__name__}: {error!s:.200}")
    return tally


def against(one: Tally, plain: Tally) -> str:
    """Geometric mean over terms and seeds of loss over the plain sum's loss, with the spread."""
    ratios = [
        math.exp(statistics.fmean(math.log(mine[name] / theirs[name]) for name in mine))
        for mine, theirs in zip(one.final, plain.final, strict=False)
    ]
    return cell(ratios)


def cell(values: Sequence[float]) -> str:
    """Mean and standard deviation over the seeds, with three digits."""
    if not values:
        return "failed"
    mean = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    digits = max(0, 2 - math.floor(math.log10(max(abs(mean), 1e-9))))
    return f"{mean:.{min(digits, 5)}f} ± {spread:.{min(digits, 5)}f}"


def row(name: str, tally: Tally, plain: Tally, problem: Problem) -> str:
    """One line of the table."""
    fields = plain.final[0] if plain.final else dict.fromkeys(problem.names, 0.0)
    cells = [cell([one[field] for one in tally.final]) for field in fields]
    last = against(tally, plain) if problem.relative else reached(tally)
    return f"| {name} | {' | '.join(cells)} | {last} |"


def reached(tally: Tally) -> str:
    """How many starts end within 0.1 of the Pareto set."""
    return f"{sum(one['distance'] < 0.1 for one in tally.final)} of {len(tally.final)}"


def printed(problem: Problem, makes: Mapping[str, Make], seeds: int, steps: int) -> None:
    """Trains with every method and prints the table of a problem."""
    shares = ", ".join(f"{name} {share:g}" for name, share in problem.shares.items())
    print(f"\n{problem.title}: {steps} steps, {seeds} seeds; declared shares: {shares}\n")
    plain = tallied(problem, METHODS["plain sum"], seeds, steps)
    head = "against plain" if problem.relative else "reached"
    print(f"| method | {' | '.join(plain.final[0])} | {head} |")
    print("|---" * (len(plain.final[0]) + 2) + "|", flush=True)
    for name, make in makes.items():
        start = time.process_time()
        tally = plain if name == "plain sum" else tallied(problem, make, seeds, steps)
        print(row(name, tally, plain, problem), flush=True)
        for said in tally.failed:
            print(f"{name}, {said}", file=sys.stderr)
        print(f"{name}: {time.process_time() - start:.0f} s", file=sys.stderr)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="what training with each balancer comes to")
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=", ".join(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="instead of the problem's own number")
    parser.add_argument("--methods", nargs="+", help="as the first column has them, without ticks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {version('torch')}")
    for key in options.problems or PROBLEMS:
        chosen = options.methods or (SOME if key in FEWER else METHODS)
        plain = {one.replace("`", "") for one in chosen}
        makes = {name: make for name, make in METHODS.items() if name.replace("`", "") in plain}
        problem = PROBLEMS[key]
        printed(problem, makes, options.seeds, options.steps or problem.steps)


if __name__ == "__main__":
    main()
