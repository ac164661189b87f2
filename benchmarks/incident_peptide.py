"""Trains the variants of the peptide recipe from five seeds and writes what docs tell of them.

    python benchmarks/incident_peptide.py                   # prints the tables
    python benchmarks/incident_peptide.py --write           # and puts them into docs/incidents

Runs are kept in --keep and not repeated, so that an interrupted call goes on where it stopped.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.progress import track

import poise
from poise.recipes import find
from poise.report.ending import ending

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "incidents" / "peptide.md"
PICTURE = ROOT / "docs" / "incidents" / "peptide.svg"
RECIPE = find("peptide")
MAIN = ("reported", "note-fix", "cured", "no-term")
"""Variants that are trained from every seed; the others from the first alone."""
METRICS = {
    "precursor_error_ppm": ("expected mass error, ppm", "{:,.0f}"),
    "best_mass_error_da": ("best-token mass error, Da", "{:.0f}"),
    "token_accuracy": ("token accuracy", "{:.3f}"),
    "residue_accuracy": ("residue accuracy", "{:.3f}"),
}


class Start(NamedTuple):
    """What happens when the term starts."""

    before: float
    after: float
    value_share: float
    ratio: float
    later: float


def trained(folder: Path, variant: str, seed: int) -> Path:
    """The run of a variant, trained in a process of its own if it is not there."""
    out = folder / f"{variant}-{seed}"
    done = out / "done"
    if not done.exists():
        code = (
            "import shutil, sys, torch; torch.set_num_threads(1)\n"
            "from poise.recipes import find, run\n"
            "variant, out, seed = sys.argv[1:]\n"
            "shutil.rmtree(out, ignore_errors=True)\n"
            "run(find('peptide'), variant, out, seed=int(seed))\n"
        )
        subprocess.run([sys.executable, "-c", code, variant, str(out), str(seed)], check=True)
        done.touch()
    return out


def cross_entropy(run: poise.Run) -> float:
    """Cross-entropy of the last evaluation, in nats."""
    found = ending(run).terms["ce"].evaluated
    assert found is not None
    return found


def start_of(run: poise.Run) -> Start:
    """Total before and after the term starts, its value share there, and its gradient over CE's."""
    table = run.train
    steps = table.steps
    weight = table.series["weight/precursor"]
    first = int(table.steps_of(weight)[np.flatnonzero(weight.values)[0]])
    at = int(np.flatnonzero(steps == first)[0])
    total = table.series["total"].values
    parts = {
        name: table.series[name].values[at] * table.series[f"weight/{name}"].values[at]
        for name in ("ce", "spectrum", "precursor")
    }
    ratios = gradient_ratios(run)
    since = [ratio for step, ratio in ratios if step >= first]
    return Start(
        before=float(np.median(total[at - 5 : at])),
        after=float(total[at]),
        value_share=float(parts["precursor"] / sum(parts.values())),
        ratio=since[0],
        later=statistics.median(since),
    )


def gradient_ratios(run: poise.Run) -> list[tuple[int, float]]:
    """Step and weighted gradient norm of the precursor term over that of CE, at each probe."""
    table = next(one for one in run.tables if "gradient_norm/precursor" in one.series)
    upper, lower = (table.series[f"gradient_norm/{name}"] for name in ("precursor", "ce"))
    steps = table.steps_of(upper)
    pairs = zip(steps, upper.values, lower.values, strict=True)
    return [(int(step), float(one / other)) for step, one, other in pairs if other > 0]


def jobs(seeds: int) -> list[tuple[str, int]]:
    """Variants and seeds to train, seed by seed."""
    names = [one.name for one in RECIPE.variants]
    found = [(name, seed) for seed in range(seeds) for name in MAIN]
    return [*found, *((name, 0) for name in names if name not in MAIN)]


def main() -> None:
    """Trains what is missing, and prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, default=Path("runs/incident-peptide"))
    parser.add_argument("--write", action="store_true", help="into docs/incidents")
    options = parser.parse_args()
    for variant, seed in track(jobs(options.seeds), "training"):
        trained(options.keep, variant, seed)


if __name__ == "__main__":
    main()
