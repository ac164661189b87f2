"""What training with each balancer comes to: final losses by term, five seeds, with their spread.

The problems are described in `problems.py`. Everything but the weights is the same for all methods:
the optimizer and its learning rate, batches, seeds, steps. Heads keep their own unscaled gradients
with the methods that look at gradients, and get the weights with those that look at values.

    python benchmarks/outcome.py [PROBLEM ...] [--jobs 2] [--seeds 5] [--methods NAME ...]

With `--keep FILE` every training that ends is noted there, and one that is there already is not
trained again: a run that was stopped goes on where it was.
"""

import argparse
import json
import math
import multiprocessing
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from contenders import METHODS, final_of
from problems import PROBLEMS, Problem

PLAIN = "plain sum"

Final = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Task:
    """One training.

    Attributes:
        problem: Its key in `PROBLEMS`.
        method: Its key in `METHODS`.
        seed: Of data, model and batches.
        steps: Optimizer steps.
    """

    problem: str
    method: str
    seed: int
    steps: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a training came to.

    Attributes:
        final: The reported numbers; empty where it failed.
        failed: What the exception said that ended it.
        cpu_s: Seconds of the processor.
    """

    final: Final
    failed: str
    cpu_s: float


Results = Mapping[Task, Result]


def run(task: Task) -> Result:
    """Trains once; an error that a method raises is its result."""
    start = time.process_time()
    final, failed = {}, ""
    try:
        final = final_of(PROBLEMS[task.problem], METHODS[task.method], task.seed, task.steps)
    except (ArithmeticError, RuntimeError, ValueError) as error:
        failed = f"{type(error).__name__}: {error!s:.200}"
    return Result(final, failed, time.process_time() - start)


def alone() -> None:
    """What every process starts with."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")


def all_run(tasks: Sequence[Task], jobs: int, keep: Path | None) -> dict[Task, Result]:
    """Runs all trainings in some processes, with a bar."""
    fresh = multiprocessing.get_context("spawn")
    found = kept(keep, tasks)
    with (
        Progress(console=Console(stderr=True)) as bar,
        ProcessPoolExecutor(jobs, mp_context=fresh, initializer=alone) as pool,
    ):
        shown = bar.add_task("trainings", total=len(tasks), completed=len(found))
        waiting = {pool.submit(run, task): task for task in tasks if task not in found}
        for one in as_completed(waiting):
            task, result = waiting[one], one.result()
            found[task] = result
            bar.advance(shown)
            if keep is not None:
                with keep.open("a") as file:
                    file.write(json.dumps([asdict(task), asdict(result)]) + "\n")
    return found


def kept(keep: Path | None, tasks: Sequence[Task]) -> dict[Task, Result]:
    """The trainings that are noted already."""
    if keep is None or not keep.exists():
        return {}
    lines = map(json.loads, keep.read_text().splitlines())
    noted = {Task(**task): Result(**result) for task, result in lines}
    return {task: one for task, one in noted.items() if task in set(tasks)}


def finals(results: Results, problem: str, method: str) -> dict[int, Final]:
    """The reported numbers of a method by seed, of the seeds that ended."""
    return {
        task.seed: one.final
        for task, one in sorted(results.items(), key=lambda pair: pair[0].seed)
        if (task.problem, task.method) == (problem, method) and one.final
    }


def against(results: Results, problem: str, method: str) -> str:
    """Geometric mean over the terms of loss over the plain sum's loss of the same seed."""
    plain, mine = finals(results, problem, PLAIN), finals(results, problem, method)
    ratios = [
        math.exp(statistics.fmean(math.log(one[name] / plain[seed][name]) for name in one))
        for seed, one in mine.items()
    ]
    return cell(ratios)


def reached(results: Results, problem: str, method: str) -> str:
    """How many starts end within 0.1 of the Pareto set."""
    mine = finals(results, problem, method)
    return f"{sum(one['distance'] < 0.1 for one in mine.values())} of {len(mine)}"


def cell(values: Sequence[float]) -> str:
    """Mean and standard deviation over the seeds, with three digits."""
    if not values:
        return "failed"
    mean = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    digits = max(0, 2 - math.floor(math.log10(max(abs(mean), 1e-9))))
    return f"{mean:.{min(digits, 5)}f} ± {spread:.{min(digits, 5)}f}"


def verdict(results: Results, key: str, method: str) -> str:
    """The one cell that sums up a problem."""
    return (against if PROBLEMS[key].relative else reached)(results, key, method)


def head(cells: Iterable[str]) -> str:
    """The two first lines of a table."""
    cells = list(cells)
    return f"| {' | '.join(cells)} |\n{'|---' * len(cells)}|"


def table(results: Results, key: str, problem: Problem, methods: Sequence[str], steps: int) -> None:
    """Prints what every method came to on a problem."""
    shares = ", ".join(f"{name} {share:g}" for name, share in problem.shares.items())
    seeds = len({task.seed for task in results})
    print(f"\n### {problem.title}\n\n{steps} steps, {seeds} seeds; declared shares: {shares}.\n")
    fields = list(next(iter(finals(results, key, PLAIN).values())))
    print(head(["method", *fields, "against plain" if problem.relative else "reached"]))
    for method in methods:
        mine = finals(results, key, method).values()
        cells = [cell([one[field] for one in mine]) for field in fields]
        print(f"| {method} | {' | '.join(cells)} | {verdict(results, key, method)} |")


def summary(results: Results, keys: Sequence[str], methods: Sequence[str]) -> None:
    """Prints one cell a problem for each method."""
    print("\n### All problems\n")
    print(head(["method", *(PROBLEMS[key].short for key in keys)]))
    for method in methods:
        print(f"| {method} | {' | '.join(verdict(results, key, method) for key in keys)} |")


def chosen(options: argparse.Namespace) -> list[str]:
    """The methods that are asked for; the plain sum is always one of them."""
    asked = {one.replace("`", "") for one in options.methods or METHODS}
    return [one for one in METHODS if one == PLAIN or one.replace("`", "") in asked]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="what training with each balancer comes to")
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=", ".join(PROBLEMS))
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="instead of the problem's own number")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="note what is done, and go on")
    parser.add_argument("--methods", nargs="+", help="as the first column has them, without ticks")
    options = parser.parse_args()
    keys, methods = options.problems or list(PROBLEMS), chosen(options)
    steps = {key: options.steps or PROBLEMS[key].steps for key in keys}
    tasks = [
        Task(key, method, seed, steps[key])
        for key in keys
        for method in methods
        for seed in range(options.seeds)
    ]
    results = all_run(tasks, options.jobs, options.keep)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchjd", "scikit-learn"))
    minutes = sum(one.cpu_s for one in results.values()) / 60
    print(f"{platform.machine()}, Python {platform.python_version()}, {packages}")
    print(f"{len(tasks)} trainings, {minutes:.0f} minutes of one core")
    for key in keys:
        table(results, key, PROBLEMS[key], methods, steps[key])
    summary(results, keys, methods)
    say = partial(print, file=sys.stderr)
    for task, one in results.items():
        if one.failed:
            say(f"{task.problem}, {task.method}, seed {task.seed}: {one.failed}")


if __name__ == "__main__":
    main()
