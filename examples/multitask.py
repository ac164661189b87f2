"""A multi-task training on windows that goes wrong, watched, and its cure.

Four heads share one bidirectional LSTM: the class of a window of 105 bars, two pointers into it,
a flag per bar and a countdown per bar (-20 to 20 bars to the start of a span). Every term is
divided by its own running mean and then weighted 10/70/10/10. The countdown never leaves "predict
zero", a loss of about 15.9. With `--cured` the same model trains as the finding proposes: plain
weights, and a countdown head that predicts in units of its range.

    python examples/multitask.py runs/multitask && poise diagnose runs/multitask
    python examples/multitask.py runs/multitask-cured --cured

The parts are those of the recipe: `poise recipe run multitask` has more variants and evaluates.
`--cured` is its variant `unit-output`; its `cured` weighs the rare steps in a span up as well.
"""

import argparse
import os
from pathlib import Path

import torch

from poise.recipes.multitask.data import REACH, make_windows
from poise.recipes.multitask.model import Model
from poise.recipes.multitask.training import BATCH, UPDATES, WINDOWS, losses
from poise.recipes.multitask.weighing import WEIGHTS, Normaliser
from poise.watch import Watch


def train(run: str | os.PathLike[str], *, cured: bool, seed: int = 0) -> dict[str, float]:
    """Trains 120 updates under a watch; returns the mean of each term over the last ten."""
    torch.manual_seed(seed)
    data = make_windows(WINDOWS, seed)
    model = Model(unit=REACH if cured else 1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    normaliser = Normaliser()
    tail: dict[str, list[float]] = {name: [] for name in WEIGHTS}
    with Watch(run, model=model, optimizer=optimizer, total_steps=UPDATES) as watch:
        for update in range(UPDATES):
            batch = data.pick(torch.randperm(WINDOWS)[:BATCH])
            terms = losses(model(batch.inputs), batch)
            total = watch.total(terms, WEIGHTS if cured else normaliser.weights(terms))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            if update >= UPDATES - 10:
                for name, one in terms.items():
                    tail[name].append(one.item())
    return {name: sum(values) / len(values) for name, values in tail.items()}


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
        f"{options.run}: {UPDATES} updates with {how}; countdown ends at {last['countdown']:.2f}, "
        f"pointer at {last['ptr']:.4f}"
    )


if __name__ == "__main__":
    main()
