"""How often `poise compare` calls two seeds of one training different, and finds a real change.

50 pairs of seeds of a training, no seed used twice, one run a side; then three seeds a side.
Nothing in `compare` was fitted on the trainings named here but `incident`:

* `multitask`: examples/multitask.py as the incident trains it, watched, and the fixes of it.
* `autoencoder`: three terms, SGD with momentum, cosine rate, an evaluation; watched.
* `rates`, `denoiser`, `causal`, `parity`: see trainings.py; plain logs.
* `incident`: examples/incident.py, numpy. One of the trainings that `calibrate.py` fits.

    python -m benchmarks.compare autoencoder --pairs 50
    python -m benchmarks.compare multitask --cure 10      # and 10 pairs of incident against cure
    python -m benchmarks.compare multitask --pairs 3 --fixes 12
"""

import argparse
import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from benchmarks.trainings import HELD_OUT
from examples import incident, multitask
from scipy.stats import binomtest
from torch import nn
from torch.nn import functional as F

from poise import Watch
from poise.balance import GradientShare
from poise.comparing.compare import compare
from poise.comparing.comparison import Comparison
from poise.comparing.resample import standard_error
from poise.doctor.diagnosis import Diagnosis
from poise.read import read_run

Training = Callable[[Path, int, bool], None]
COUNTS = {"type": 1, "ptr": 2, "binary": 105, "countdown": 105}
"""Outputs a window of each term of the multi-task training."""


def train_incident(run: Path, seed: int, cured: bool) -> None:
    """The numpy incident: a text log of 120 updates."""
    run.mkdir(parents=True)
    incident.train(run / "log.txt", cured=cured, seed=seed)


def train_multitask(run: Path, seed: int, cured: bool) -> None:
    """The watched multi-task training: 120 updates."""
    multitask.train(run, cured=cured, seed=seed)


FIXES = ("sqrt", "raw", "unit", "shares")
"""Times the square root of N; the raw sum; plain weights with an output in units of its range, as
`--cured`; shares of the gradient with that output."""
SIDES = ("before", "after")
SHARES = {"type": 0.1, "ptr": 0.1, "binary": 0.1, "countdown": 0.7}


def train_fix(run: Path, seed: int, fix: str) -> None:
    """The multi-task training with a fix of `FIXES`."""
    torch.manual_seed(seed)
    data = multitask.make_windows(multitask.WINDOWS, seed)
    model = multitask.Model(unit=multitask.REACH if fix in ("unit", "shares") else 1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    normaliser, balance = multitask.Normaliser(), GradientShare(SHARES)
    with Watch(run, model=model, optimizer=optimizer, total_steps=multitask.UPDATES) as watch:
        for _ in range(multitask.UPDATES):
            batch = data.pick(torch.randperm(multitask.WINDOWS)[: multitask.BATCH])
            if fix == "shares":
                terms = multitask.losses(model(batch.inputs, balance.fork), batch)
                total = watch.total(terms, balance)
            else:
                terms = multitask.losses(model(batch.inputs), batch)
                weights = multitask.WEIGHTS if fix == "unit" else dict.fromkeys(terms, 1.0)
                if fix == "sqrt":
                    found = normaliser.weights(terms)
                    weights = {name: found[name] * COUNTS[name] ** 0.5 for name in found}
                total = watch.total(terms, weights)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()


def train_autoencoder(run: Path, seed: int, cured: bool) -> None:
    """Reconstruction, class and a penalty on the code, 400 updates; cured: a code of 16, not 4."""
    draw = torch.Generator().manual_seed(0)  # one data set; seeds differ in model and batches
    basis = torch.randn(12, 32, generator=draw)
    code = torch.randn(1200, 12, generator=draw)
    inputs = torch.tanh(code @ basis / 3) + 0.1 * torch.randn(1200, 32, generator=draw)
    label = (code[:, :3] > 0).long() @ torch.tensor([1, 2, 4])
    torch.manual_seed(seed)
    size = 16 if cured else 4
    encoder = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, size))
    decoder = nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 32))
    head = nn.Linear(size, 8)
    model = nn.ModuleList([encoder, decoder, head])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    weights = {"recon": 1.0, "class": 0.3, "penalty": 0.01}

    def terms(rows: torch.Tensor) -> dict[str, torch.Tensor]:
        x, z = inputs[rows], encoder(inputs[rows])
        return {
            "recon": F.mse_loss(decoder(z), x),
            "class": F.cross_entropy(head(z), label[rows]),
            "penalty": z.square().mean(),
        }

    with Watch(run, model=model, optimizer=optimizer, roles={"penalty": "regulariser"}) as watch:
        for update in range(400):
            total = watch.total(terms(torch.randperm(1000)[:32]), weights)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            schedule.step()
            if update % 40 == 39:
                with watch.evaluation(), torch.no_grad():
                    watch.total(terms(torch.arange(1000, 1200)), weights)


def logged(name: str) -> Training:
    """One of the trainings of `trainings.py`, with a plain log."""

    def train(run: Path, seed: int, cured: bool) -> None:
        run.mkdir(parents=True)
        HELD_OUT[name].write(run / "log.csv", seed, changed=cured)

    return train


TRAININGS: dict[str, Training] = {
    "incident": train_incident,
    "multitask": train_multitask,
    "autoencoder": train_autoencoder,
    **{name: logged(name) for name in HELD_OUT},
}


def read(path: Path) -> Diagnosis:
    """A run without the rules, which this benchmark does not ask."""
    return Diagnosis(run=read_run(path), findings=(), not_checked=(), passed=())


def report(title: str, found: list[Comparison]) -> None:
    """Verdicts over all pairs, of the whole and of every quantity."""
    verdicts = Counter(one.verdict.value for one in found)
    wrong = len(found) - verdicts["no effect"]
    high = binomtest(wrong, len(found)).proportion_ci(0.95).high if found else math.nan
    print(
        f"{title}: {len(found)} pairs, {dict(verdicts)}; not 'no effect' {wrong} (95%: <{high:.3f})"
    )
    odd = sum(
        any(c.kind != "total" and c.verdict.value != "no effect" for c in one.changes)
        for one in found
    )
    print(f"  some term or metric is not 'no effect' in {odd}")
    each = Counter((c.split, c.name, c.verdict.value) for one in found for c in one.changes)
    for (split, name, verdict), count in sorted(each.items()):
        if verdict != "no effect":
            print(f"  {name} ({split}): {verdict} in {count} of {len(found)}")


def report_spread(runs: list[Diagnosis]) -> None:
    """How far the levels of seeds lie apart, and over the error that one run shows of itself."""
    for name in runs[0].run.terms:
        ends = [one.run.train.series[name].values[-len(one.run.train) // 4 :] for one in runs]
        levels = np.array([one.mean() for one in ends])
        inside = float(np.median([standard_error(one) for one in ends]))
        between = float(levels.std(ddof=1))
        print(
            f"  {name}: seeds scatter by {between / levels.mean():.1%} of the level, "
            f"{between / inside:.0f} times the standard error within a run"
        )


def report_fix(fix: str, folder: Path, run: Callable[[int], Diagnosis], pairs: int) -> None:
    """What compare says of the note's training against a fix of it, pair by pair and by threes."""
    before, after = [], []
    for k in range(pairs):
        path = folder / f"multitask-{fix}-{2000 + k}"
        if not path.exists():
            train_fix(path, 2000 + k, fix)
        before.append(run(k))
        after.append(read(path))
    singles = [compare(*pair) for pair in zip(before, after, strict=True)]
    threes = [
        compare(before[3 * k : 3 * k + 3], after[3 * k : 3 * k + 3]) for k in range(pairs // 3)
    ]
    for name in COUNTS:
        means = [np.mean([getattr(c.of(name), side) for c in singles]) for side in SIDES]
        print(f"{fix}: {name} from {means[0]:.3g} to {means[1]:.3g}, means of {pairs} seeds")
    for title, found in ((f"{fix}, one run a side", singles), (f"{fix}, three a side", threes)):
        for name in COUNTS:
            verdicts = Counter(one.of(name).verdict.value for one in found)
            print(f"{title}: {name} {dict(verdicts)}")
        for one in found[:3]:
            c = one.of("countdown")
            print(
                f"  countdown {c.before:.2f} -> {c.after:.2f}, {c.difference:+.2f} "
                f"[{c.low:+.2f}, {c.high:+.2f}]: {c.verdict.value}; whole: {one.verdict.value}"
            )


def main() -> None:
    """Trains, compares and prints the counts."""
    parser = argparse.ArgumentParser(description="error rates of poise compare")
    parser.add_argument("training", choices=sorted(TRAININGS))
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--all", action="store_true", help="also all pairs of the seeds")
    parser.add_argument("--cured", action="store_true", help="two seeds of the cured training")
    parser.add_argument("--cure", type=int, default=0, metavar="N", help="pairs with the cure")
    parser.add_argument("--fixes", type=int, default=0, metavar="N", help="multitask: N pairs each")
    parser.add_argument("--out", type=Path, default=None, help="keep the runs here, and reuse them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    train = TRAININGS[options.training]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)

        def run(seed: int, cured: bool = False) -> Diagnosis:
            path = folder / f"{options.training}-{seed}{'-cured' * cured}"
            if not path.exists():
                train(path, seed, cured)
            return read(path)

        begin = time.perf_counter()
        name = options.training + ", cured" * options.cured
        runs = [run(k, options.cured) for k in range(2 * options.pairs)]
        pairs = zip(runs[::2], runs[1::2], strict=True)
        report(f"{name}, two seeds", [compare(*pair) for pair in pairs])
        report_spread(runs)
        if options.all:
            report(f"{name}, all pairs", [compare(*pair) for pair in combinations(runs, 2)])
        few = range(options.pairs // 3)
        threes = [compare(runs[6 * k : 6 * k + 3], runs[6 * k + 3 : 6 * k + 6]) for k in few]
        report(f"{name}, three seeds a side", threes)
        for fix in FIXES if options.fixes else ():
            report_fix(fix, folder, run, options.fixes)
        cures = range(options.cure)
        cured = [compare(run(k), run(1000 + k, cured=True)) for k in cures]
        if cured:
            report(f"{options.training}, against its cure", cured)
        print(f"{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
