"""What balancing costs in a training step, as a ratio to the plain sum, and in memory.

Trunk 512-1024-1024-1024-512 with ReLU, K heads 512-256-10 with cross-entropy, batch 256: one step
is forward, backward and AdamW. One thread, process CPU time. All engines take turns, in an order
that rotates; a ratio is the median over the rounds of engine over plain sum in the same round (30
rounds; 8 for engines that take more than twice a plain step; 20 of all engines where no single
tensor carries all terms). What a method's own solver takes is
timed apart and taken off. Peak memory is the largest sum of live tensors that torch's CPU allocator
reports to the profiler within one step, above what lived before the step.

    pip install --no-deps LibMTL    # only for its lines; without it they are skipped
    python benchmarks/balance.py [--quick] [--terms 2 4 8 16] [--only fork|parameters]
"""

import argparse
import gc
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

import torch
from torch.autograd.profiler import profile

from engines import OURS, THEIRS, Engine, Make, engines

SLOW, FEW, PARTED = 2.0, 8, 20


def compared(
    makes: Mapping[str, Make], terms: int, rounds: int, slower: float = SLOW
) -> dict[str, Engine]:
    """All engines, timed in turn; those that are slower than so many plain steps take few turns."""
    made: dict[str, Engine] = {}
    for name, make in makes.items():
        try:
            made[name] = make(terms)
            made[name].step()
        except ModuleNotFoundError as error:
            print(f"skipped: {name}: {error}", file=sys.stderr)
            made.pop(name, None)
    for engine in made.values():
        engine.step()
    slow: set[str] = set()
    for k in range(rounds):
        order = list(made)[k % len(made) :] + list(made)[: k % len(made)]
        if k >= FEW:
            order = [name for name in order if name not in slow]
        took = {name: made[name].take() for name in order}
        for name, (bare, whole) in took.items():
            made[name].ratios.append(bare / took["plain sum"][1])
            made[name].whole.append(whole / took["plain sum"][1])
        if k == FEW - 1:
            slow = {name for name in made if statistics.median(made[name].ratios) > slower}
    return made


@contextmanager
def collected() -> Iterator[None]:
    """No collection of garbage inside: it would free at random."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def peak_mib(step: Callable[[], None]) -> float:
    """Largest sum of live tensors in one step, above what lived before."""
    with collected(), profile(profile_memory=True) as seen:
        step()
    events = [one for one in seen.kineto_results.events() if one.name() == "[memory]"]
    live = most = 0
    for one in sorted(events, key=lambda one: one.start_ns()):
        live += one.nbytes()
        most = max(most, live)
    return most / 2**20


def printed(title: str, counts: list[int], found: Mapping[int, dict[str, Engine]]) -> None:
    """The table of ratios."""
    widest = 8 if 8 in counts else counts[-1]
    print(f"\n{title}\n")
    print(
        f"| engine | {' | '.join(f'K={k}' for k in counts)} | quartiles at K={widest} "
        f"| peak MiB at K={widest} |"
    )
    print("|---" * (len(counts) + 3) + "|")
    for name, at in found[widest].items():
        cells = [statistics.median(found[k][name].ratios) for k in counts]
        low, _, high = statistics.quantiles(at.ratios, n=4)
        said = " | ".join(f"{one:.2f}" for one in cells)
        print(f"| {name} | {said} | {low:.3f}-{high:.3f} | {peak_mib(at.step):.1f} |")


def against_theirs(counts: list[int], found: Mapping[int, dict[str, Engine]]) -> None:
    """Our step at the parameters over TorchJD's, both with their solvers, round by round."""
    print(f"\n{OURS} over TorchJD's faster way, both with their solvers, in the same rounds\n")
    print("| K | median | quartiles |\n|---|---|---|")
    for k in counts:
        ours, *theirs = (found[k][name].whole for name in (OURS, *THEIRS))
        faster = min(theirs, key=statistics.median)
        pairs = [mine / other for mine, other in zip(ours, faster, strict=True)]
        low, middle, high = statistics.quantiles(pairs, n=4)
        print(f"| {k} | {middle:.3f} | {low:.3f}-{high:.3f} |")


def solvers(counts: list[int], found: Mapping[int, dict[str, Engine]]) -> None:
    """The table of solver times."""
    widest = 8 if 8 in counts else counts[-1]
    print("\nThe solvers, CPU ms a step, and the ratio of the whole step with it\n")
    print(f"| method | {' | '.join(f'K={k}' for k in counts)} | whole step at K={widest} |")
    print("|---" * (len(counts) + 2) + "|")
    for name, at in found[widest].items():
        if not at.solver_ms:
            continue
        cells = [statistics.median(found[k][name].solver_ms) for k in counts]
        said = " | ".join(f"{one:.2f}" for one in cells)
        print(f"| {name} | {said} | {statistics.median(at.whole):.2f} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="what balancing costs in a training step")
    parser.add_argument("--quick", action="store_true", help="few methods, 6 rounds, K = 2 and 8")
    parser.add_argument("--terms", type=int, nargs="+", default=None)
    parser.add_argument("--only", choices=["fork", "parameters"], help="one half of the tables")
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts = options.terms or ([2, 8] if options.quick else [2, 4, 8, 16])
    rounds = 6 if options.quick else 30
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchjd"))
    print(f"{platform.machine()}, Python {platform.python_version()}, {packages}, one thread")
    usual, parted = engines(options.quick)
    if options.only != "parameters":
        found = timed_all(usual, counts, rounds)
        printed("Ratio to the plain sum, without the method's own solver", counts, found)
        solvers(counts, found)
    if options.only != "fork":
        other = timed_all(parted, counts, min(rounds, PARTED), math.inf)
        printed("Where no single tensor carries all terms: K passes", counts, other)
        against_theirs(counts, other)


def timed_all(
    makes: Mapping[str, Make], counts: list[int], rounds: int, slower: float = SLOW
) -> dict[int, dict[str, Engine]]:
    """The engines for every number of terms."""
    found: dict[int, dict[str, Engine]] = {}
    for k in counts:
        found[k] = compared(makes, k, rounds, slower)
        print(f"K={k} done, {time.process_time():.0f} s of CPU", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
