"""What a Watch costs: `python benchmarks/overhead.py [ROUNDS]`.

Trains one net four times side by side, in turns of a few steps: plain, watched without measuring,
watched with defaults, plain again. Reported is process CPU time on one thread. Sampled steps are
few and dear, so the ratio is of sums over all rounds; the first measurements, taken on credit, are
in it. Recording costs the same at every step, so for it the median over the turns, each against the
plain one of its round, says more: a sum keeps whatever else the machine did. Both come with a 95%
interval, bootstrapped over the rounds. The second plain training shows how far two equal ones are
apart, and recording alone is also measured around nearly nothing, where it shows.
"""

import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

import poise
from poise.watch import Watch

HEADS, BATCH, BLOCK = 8, 256, 10
Array = np.ndarray[tuple[int], np.dtype[np.float64]]


class Net(nn.Module):
    """Trunk 512-1024-1024-1024-512, heads 512-256-10."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (512, 1024, 1024, 1024, 512)
        layers = [one for a, b in pairwise(sizes) for one in (nn.Linear(a, b), nn.ReLU())]
        self.trunk = nn.Sequential(*layers)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)) for _ in range(HEADS)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits of every head."""
        z = self.trunk(x)
        return [head(z) for head in self.heads]


def summed(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum as one writes it by hand."""
    total = weights["head0"] * terms["head0"]
    for name in list(terms)[1:]:
        total = total + weights[name] * terms[name]
    return total


def training(watch: Watch | None, net: Net, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """One step each time it is asked."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, 512, generator=generator)
    y = torch.randint(10, (HEADS, BATCH), generator=generator)
    weights = {f"head{k}": 1 / HEADS for k in range(HEADS)}
    while True:
        losses = [nn.functional.cross_entropy(out, one) for out, one in zip(net(x), y, strict=True)]
        terms = dict(zip(weights, losses, strict=True))
        total = summed(terms, weights) if watch is None else watch.total(terms, weights)
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield


def made(open_watch: Callable[[nn.Module, torch.optim.Optimizer], Watch] | None) -> Iterator[None]:
    """A training of a net of its own."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)
    return training(open_watch(net, optimizer) if open_watch else None, net, optimizer)


class OwnTime:
    """Processor seconds spent in one training's own turns: a watch must not earn in others'."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.since: float | None = None

    def __call__(self) -> float:
        """The seconds so far."""
        return self.spent + (0.0 if self.since is None else time.process_time() - self.since)

    def turn(self, training: Iterator[None], steps: int = BLOCK) -> float:
        """Takes some steps; the seconds they took."""
        before = self.spent
        self.since = time.process_time()
        for _ in range(steps):
            next(training)
        self.spent, self.since = self(), None
        return self.spent - before


def measured(
    rounds: int,
    trainings: Mapping[str, Iterator[None]],
    clocks: Mapping[str, OwnTime],
    few: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """Processor seconds of every turn of `BLOCK` steps of each training, the order rotating.

    Those named in `few` take part in so many of the first rounds only.
    """
    order = list(trainings.items())
    for name, one in trainings.items():
        clocks[name].turn(one, 1)  # the optimizer makes its state; nothing is measured yet
    spent = {name: np.zeros(min(rounds, (few or {}).get(name, rounds))) for name in trainings}
    for turn in range(rounds):
        at = turn % len(order)
        for name, one in order[at:] + order[:at]:
            if turn < len(spent[name]):
                spent[name][turn] = clocks[name].turn(one)
    return spent


def compared(seconds: Array, plain: Array) -> str:
    """Ratio of the sums and median ratio of the turns, each with its 95% interval."""
    picks = np.random.default_rng(0).integers(len(plain), size=(2000, len(plain)))
    turns = seconds / plain
    ratios = seconds[picks].sum(1) / plain[picks].sum(1)
    medians = np.median(turns[picks], axis=1)
    both = ((seconds.sum() / plain.sum(), ratios), (float(np.median(turns)), medians))
    return " ".join(
        "{:>7.4f} [{:.4f}, {:.4f}]".format(value, *np.quantile(drawn, (0.025, 0.975)))
        for value, drawn in both
    )


def recording(watch: Watch | None, optimizer: torch.optim.Optimizer, steps: int = 3000) -> float:
    """Microseconds of one step of next to no training with as many terms."""
    weights = {f"head{k}": 1 / HEADS for k in range(HEADS)}
    (parameter,) = optimizer.param_groups[0]["params"]
    start = time.process_time()
    for _ in range(steps):
        loss = parameter.sum()
        terms = dict.fromkeys(weights, loss)
        total = summed(terms, weights) if watch is None else watch.total(terms, weights)
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
    return 1e6 * (time.process_time() - start) / steps


def told_recording() -> None:
    """Prints what recording costs by itself."""
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(4))])
    recording(None, optimizer, 300)
    with tempfile.TemporaryDirectory() as run, Watch(run, optimizer=optimizer, budget=0) as watch:
        pairs = [(recording(None, optimizer), recording(watch, optimizer)) for _ in range(5)]
    plain, watched = (min(one) for one in zip(*pairs, strict=True))
    print(f"recording {HEADS} terms alone: {watched - plain:.0f} microseconds a step")


def main() -> None:
    """Prints the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    torch.set_num_threads(1)
    watches: list[Watch] = []
    clocks = {name: OwnTime() for name in ("plain", "Watch(budget=0)", "Watch()", "plain again")}
    with ExitStack() as stack:

        def watched(
            budget: float, clock: OwnTime
        ) -> Callable[[nn.Module, torch.optim.Optimizer], Watch]:
            run = stack.enter_context(tempfile.TemporaryDirectory())

            def opened(net: nn.Module, optimizer: torch.optim.Optimizer) -> Watch:
                watch = Watch(run, model=net, optimizer=optimizer, budget=budget)
                watch.budget._clock = clock
                watches.append(stack.enter_context(watch))
                return watch

            return opened

        trainings = {
            "plain": made(None),
            "Watch(budget=0)": made(watched(0.0, clocks["Watch(budget=0)"])),
            "Watch()": made(watched(0.01, clocks["Watch()"])),
            "plain again": made(None),
        }
        spent = measured(rounds, trainings, clocks)
    told(rounds * BLOCK, spent, watches)
    told_recording()


def told(steps: int, spent: Mapping[str, Array], watches: Sequence[Watch]) -> None:
    """Prints what was measured."""
    print(f"torch {torch.__version__}, poise {poise.__version__}", end=", ")
    print(f"Python {platform.python_version()}")
    print(f"{HEADS} terms, batch {BATCH}, AdamW, one thread, {steps} steps each, every=50")
    print(f"{'':>18} {'ms/step':>8} {'ratio of sums':^24} {'median of turns':^24}")
    for name, one in spent.items():
        print(f"{name:>18} {1e3 * one.sum() / steps:>8.2f} {compared(one, spent['plain'])}")
    print(f"failures {[one.failures for one in watches]}; what Watch() measured:")
    print(f"{'':>18} {'times':>8} {'ms each':>8} {'% time':>7}")
    for name, one in watches[-1].budget.accounts.items():
        each = 1e3 * one.spent_s / max(one.uses, 1)
        share = 100 * one.spent_s / spent["Watch()"].sum()
        print(f"{name:>18} {one.uses:>8} {each:>8.1f} {share:>7.2f}")


if __name__ == "__main__":
    main()
