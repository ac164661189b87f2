"""Fits what `poise compare` lets one run say of other seeds, on trainings made for that.

24 seeds of each training in `CALIBRATION` and of `examples/incident.py`, six of each changed one,
logged as they are, as means over 20 and 40 parts of the course, and as running means over ten
updates. The fit makes the intervals of single pairs as narrow as it can (mean logarithm of width
over level) while no training, logged in any way, has more than 3.5% of its pairs of seeds told
apart. `--freedom` is not fitted but tried: what several seeds a side then get is printed.

    python -m benchmarks.calibrate --freedom 4
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from benchmarks.trainings import CALIBRATION
from examples import incident
from scipy.optimize import minimize
from scipy.stats import t as student

from poise.comparing.course import Course
from poise.comparing.spread import FITTED, Relation, Shown, allowance, shown
from poise.read import read_run
from poise.run import Floats

SEEDS, CHANGED, WRONG = 24, 6, 0.035
Seen = Mapping[str, Sequence[Shown]]
"""What every seed shows of each term."""


def ways(values: Floats) -> Iterator[tuple[str, Course]]:
    """The same course as other programs would log it."""
    steps = np.arange(len(values))
    yield "as it is", Course(at=steps * 1.0, values=values, steps=steps, updates=True)
    around = np.concatenate([np.full(9, values[0]), values])
    smooth = np.lib.stride_tricks.sliding_window_view(around, 10).mean(axis=1)
    yield "running mean", Course(at=steps * 1.0, values=smooth, steps=steps, updates=True)
    for parts in (20, 40):
        width = len(values) // parts
        means, last = values[: width * parts].reshape(parts, width).mean(axis=1), steps[::width]
        last = last[:parts]
        yield f"{parts} means", Course(at=last * 1.0, values=means, steps=last, updates=True)


def trained(folder: Path, most: int) -> Iterator[tuple[str, list[Path]]]:
    """Logs of every training from at most so many seeds, and of what it becomes by its change."""
    for name, training in CALIBRATION.items():
        for changed, seeds in ((False, most), (True, min(CHANGED, most))):
            paths = [folder / f"{name}{'+' * changed}-{seed}.csv" for seed in range(seeds)]
            for seed, path in enumerate(paths):
                if not path.exists():
                    training.write(path, seed, changed=changed)
            yield name + "+" * changed, paths
    for cured in (False, True):
        paths = [folder / f"incident{'+' * cured}-{seed}.txt" for seed in range(most)]
        for seed, path in enumerate(paths):
            if not path.exists():
                incident.train(path, cured=cured, seed=seed)
        yield "incident" + "+" * cured, paths


def looked_at(paths: Sequence[Path]) -> dict[str, Seen]:
    """What the runs of one training show, by the way they are logged."""
    found: dict[str, dict[str, list[Shown]]] = {}
    for path in paths:
        run = read_run(path)
        for term in run.terms:
            for way, course in ways(run.train.series[term].values):
                seen = found.setdefault(way, {}).setdefault(term, [])
                seen.append(shown(course, float(course.at[-1])))
    return found


def ratios(seen: Seen, by: Relation) -> tuple[Floats, float]:
    """By pair, the largest difference over its interval; mean logarithm of width over level."""
    quantile = float(student.ppf(1 - 0.05 / len(seen) / 2, by.freedom))
    worst, widths = np.zeros(0), []
    for runs in seen.values():
        allowed = np.array([allowance(one, by) for one in runs])
        means = np.array([one.mean for one in runs])
        one, two = np.array(list(combinations(range(len(runs)), 2))).T
        half = quantile * np.sqrt(2 * allowed[one] * allowed[two])
        ratio = np.abs(means[one] - means[two]) / half
        worst = np.maximum(worst, ratio) if len(worst) else ratio
        widths.append(np.log(np.median(half) / abs(means.mean())))
    return worst, float(np.mean(widths))


def wrong_of_threes(seen: Seen, by: Relation, draws: int = 200) -> float:
    """Share of draws of three seeds a side that are told apart."""
    rng = np.random.default_rng(0)
    count = len(next(iter(seen.values())))
    if count < 6:
        return float("nan")
    rows = np.array([rng.permutation(count)[:6] for _ in range(draws)])
    told = np.zeros(draws, dtype=bool)
    for runs in seen.values():
        means = np.array([one.mean for one in runs])[rows]
        expected = np.log([allowance(one, by) for one in runs])[rows].mean(axis=1)
        squares = 2 * (means[:, :3].var(axis=1, ddof=1) + means[:, 3:].var(axis=1, ddof=1))
        freedom = by.freedom + 4
        variance = (by.freedom * np.exp(2 * expected) + squares) / freedom
        half = student.ppf(1 - 0.05 / len(seen) / 2, freedom) * np.sqrt(variance * 2 / 3)
        told |= np.abs(means[:, 3:].mean(axis=1) - means[:, :3].mean(axis=1)) > half
    return float(told.mean())


def cost(logarithms: Floats, freedom: float, seen: Mapping[str, Mapping[str, Seen]]) -> float:
    """Width, and a penalty for every training of which too many pairs are told apart."""
    by = Relation(*np.exp(logarithms).tolist(), freedom=freedom)
    total, count = 0.0, 0
    for logged in seen.values():
        for one in logged.values():
            worst, width = ratios(one, by)
            # A smooth count: ratios near 1 count by half.
            share = float((1 / (1 + np.maximum(worst, 1e-9) ** -12.0)).mean())
            over = max(0.0, share - WRONG)
            total, count = total + width, count + 1
            total += (1000.0 * over**2 + 2.5 * over) * len(seen)
    return total / count


def main() -> None:
    """Trains, fits and prints."""
    parser = argparse.ArgumentParser(description="fits the spread that one run lets expect")
    parser.add_argument("--freedom", type=float, default=FITTED.freedom)
    parser.add_argument("--rounds", type=int, default=150, help="0: print the rates as fitted")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="fewer, for a look")
    parser.add_argument("--out", type=Path, default=None, help="keep the runs here, and reuse them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        seen = {name: looked_at(paths) for name, paths in trained(folder, options.seeds)}
    start = np.log(np.array(FITTED[:-1]))
    by = FITTED._replace(freedom=options.freedom)
    if options.rounds:
        found = minimize(
            cost, start, args=(options.freedom, seen), method="Nelder-Mead",
            options={"maxiter": options.rounds, "fatol": 3e-3, "xatol": 3e-2},
        )  # fmt: skip
        by = Relation(*np.exp(found.x).tolist(), freedom=options.freedom)
    print(by)
    report(seen, by)


def report(seen: Mapping[str, Mapping[str, Seen]], by: Relation) -> None:
    """Prints how often two seeds of one training are told apart, by the way it is logged."""
    every, threes = [], []
    for name, logged in seen.items():
        rates = {way: float((ratios(one, by)[0] > 1).mean()) for way, one in logged.items()}
        told = ", ".join(f"{way} {rate:.1%}" for way, rate in rates.items())
        every += rates.values()
        threes.append(wrong_of_threes(logged["as it is"], by))
        print(f"{name}: {told}; three a side {threes[-1]:.1%}")
    print(f"of all pairs at most {max(every):.1%}, on average {np.mean(every):.1%}", end="; ")
    print(f"three a side at most {np.nanmax(threes):.1%}")


if __name__ == "__main__":
    main()
