"""A multi-task training on windows that goes wrong, watched, and its cure.

Four heads share one bidirectional LSTM: the class of a window of 105 bars, two pointers into it,
a flag per bar and a countdown per bar (-20 to 20 bars to the start of a span). Every term is
divided by its own running mean and then weighted 10/70/10/10. The countdown never leaves "predict
zero", a loss of about 15.9. With `--cured` the same model trains as the finding proposes: plain
weights, and a countdown head that predicts in units of its range.

The training is the recipe `multitask` (`poise recipe run multitask`), which has more variants.

    python examples/multitask.py runs/multitask && poise diagnose runs/multitask
    python examples/multitask.py runs/multitask-cured --cured
"""

import argparse
import os
from pathlib import Path

import poise
from poise.recipes import find
from poise.recipes import run as run_recipe
from poise.report.ending import ending


def train(run: str | os.PathLike[str], *, cured: bool, seed: int = 0) -> dict[str, float]:
    """Trains 120 updates under a watch; returns the mean of each term over the last ten."""
    path = run_recipe(find("multitask"), "cured" if cured else "reported", run, seed=seed)
    found = ending(poise.read_run(path)).terms
    return {name: one.train for name, one in found.items() if one.train is not None}


def main() -> None:
    """Trains into the folder given on the command line."""
    parser = argparse.ArgumentParser(description="a multi-task training that goes wrong")
    parser.add_argument("run", nargs="?", type=Path, default=Path("runs/multitask"))
    parser.add_argument("--cured", action="store_true", help="plain weights, unit-scale output")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    last = train(options.run, cured=options.cured, seed=options.seed)
    how = "plain weights and a unit-scale output" if options.cured else "a value normaliser"
    print(
        f"{options.run}: 120 updates with {how}; countdown ends at {last['countdown']:.2f}, "
        f"pointer at {last['ptr']:.4f}"
    )


if __name__ == "__main__":
    main()
