"""What a fork costs in a training step, as a ratio to the plain weighted sum, and what probes cost.

Trunk 512-1024-1024-1024-512 with ReLU, K heads 512-256-10 with cross-entropy, batch 256: one step
is forward, backward and AdamW. One thread, process CPU time, plain and forked steps in turn,
median of 30 after 3 to warm up.

    python benchmarks/fork.py [K ...]
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from poise.probe import Fork, Graph, MotionProbe, at_bottleneck, at_shared

BATCH, REPEATS, WARM = 256, 30, 3


def net_of(terms: int) -> tuple[nn.ModuleDict, Tensor, dict[str, Tensor]]:
    """A fresh net with its batch and targets."""
    torch.manual_seed(0)
    layers = [
        part
        for wide, out in pairwise([512, 1024, 1024, 1024, 512])
        for part in (nn.Linear(wide, out), nn.ReLU())
    ]
    trunk = nn.Sequential(*layers)
    names = [f"t{k}" for k in range(terms)]
    heads = {n: nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)) for n in names}
    targets = {name: torch.randint(10, (BATCH,)) for name in names}
    net = nn.ModuleDict({"trunk": trunk, "heads": nn.ModuleDict(heads)})
    return net, torch.randn(BATCH, 512), targets


def step_of(terms: int, forked: bool) -> Callable[[], None]:
    """One training step of a fresh net with the given number of heads."""
    net, batch, targets = net_of(terms)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    split = Fork(targets)

    def step() -> None:
        z = net["trunk"](batch)
        parts = split(z) if forked else dict.fromkeys(targets, z)
        losses = losses_of(net, parts, targets)
        total: Tensor = sum(losses.values())
        total.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def losses_of(
    net: nn.ModuleDict, parts: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The term of each head."""
    return {
        name: nn.functional.cross_entropy(net["heads"][name](parts[name]), target)
        for name, target in targets.items()
    }


def probes(terms: int) -> None:
    """Prints what each probe costs, in plain steps."""
    plain = step_of(terms, forked=False)
    net, batch, targets = net_of(terms)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    losses = losses_of(net, dict.fromkeys(targets, net["trunk"](batch)), targets)
    graph = Graph(losses, net)
    place = graph.bottleneck()
    assert place is not None
    motion = MotionProbe(net)
    works: dict[str, Callable[[], object]] = {
        "reach map and bottleneck": lambda: Graph(losses, net).bottleneck(),
        "gradients at the bottleneck": lambda: at_bottleneck(graph, place),
        "gradients at the shared parameters": lambda: at_shared(graph),
        "the same with update shares": lambda: at_shared(graph, optimizer=optimizer),
        "motion": lambda: (motion.before(), motion.after().modules),
    }
    step = statistics.median(timed(plain) for _ in range(REPEATS))
    print(f"\n  in steps of {step:.0f} ms, {terms} terms")
    for name, work in works.items():
        cost = statistics.median(timed(work) for _ in range(5))
        print(f"  {name:<36} {cost / step:.3f}")


def timed(step: Callable[[], None]) -> float:
    """CPU milliseconds of one step."""
    start = time.process_time()
    step()
    return (time.process_time() - start) * 1e3


def main(counts: list[int]) -> None:
    """Prints one line for each number of terms."""
    torch.set_num_threads(1)
    print("  K   plain ms   fork ms   ratio   ratio of pairs, quartiles")
    for terms in counts:
        plain, forked = step_of(terms, forked=False), step_of(terms, forked=True)
        for _ in range(WARM):
            plain(), forked()
        pairs = []
        for k in range(REPEATS):  # who goes first changes, so that a drift hits both
            first, second = (plain, forked) if k % 2 else (forked, plain)
            one, other = timed(first), timed(second)
            pairs.append((one, other) if k % 2 else (other, one))
        alone, both = (statistics.median(column) for column in zip(*pairs, strict=True))
        low, mid, high = statistics.quantiles([b / a for a, b in pairs], n=4)
        print(
            f"{terms:>3} {alone:>10.2f} {both:>9.2f} {both / alone:>7.3f}   "
            f"{low:.3f} {mid:.3f} {high:.3f}"
        )


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [2, 4, 8, 16])
    probes(8)
