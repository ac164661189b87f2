"""What a fork costs in a training step, as a ratio to the plain weighted sum, and what probes cost.

Trunk 512-1024-1024-1024-512 with ReLU, K heads 512-256-10 with cross-entropy, batch 256: one step
is forward, backward and AdamW. One thread, process CPU time, plain and forked steps in turn,
median of 30 after 3 to warm up.

    python benchmarks/fork.py [K ...]

With `passes` it compares ways to take each term's gradient at the shared parameters instead:

    python benchmarks/fork.py passes
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
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


def transformer_of(terms: int) -> tuple[nn.ModuleList, dict[str, Tensor]]:
    """A small transformer, 4 layers of width 128 on 16 x 32 tokens, and its terms."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
    trunk = nn.Sequential(
        nn.Embedding(1000, 128), nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    )
    heads = nn.ModuleList(nn.Linear(128, 50) for _ in range(terms))
    z = trunk(torch.randint(1000, (16, 32))).flatten(0, 1)
    losses = [nn.functional.cross_entropy(one(z), torch.randint(50, (512,))) for one in heads]
    return nn.ModuleList([trunk, heads]), {f"t{k}": one for k, one in enumerate(losses)}


def passes() -> None:
    """Prints what each way costs, in plain backward passes, and whether it gives the same bits."""
    print("  net            K   one pass each   through the bottleneck   batched there   batched")
    for terms in (3, 8):
        net, batch, targets = net_of(terms)
        losses = losses_of(net, dict.fromkeys(targets, net["trunk"](batch)), targets)
        compared("benchmark net", net, losses)
        compared("transformer", *transformer_of(terms))


def compared(kind: str, net: nn.Module, losses: dict[str, Tensor]) -> None:
    """One line of `passes`."""
    graph = Graph(losses, net)
    place, shared = graph.bottleneck(), list(graph.shared.values())
    assert place is not None
    grad = partial(torch.autograd.grad, retain_graph=True)
    terms = list(losses.values())

    def there() -> list[Tensor]:
        return [grad(one, place.edges)[0] for one in terms]

    def batched(start: object, first: Tensor) -> list[list[Tensor]]:
        found = grad(start, shared, [first], is_grads_batched=True)
        return [[one[k] for one in found] for k in range(len(terms))]

    ways: list[Callable[[], object]] = [
        lambda: [grad(one, shared) for one in terms],
        lambda: [grad(place.edges, shared, [one]) for one in there()],
        lambda: batched(place.edges, torch.stack(there())),
        lambda: batched([torch.stack(terms)], torch.eye(len(terms))),
    ]
    plain = partial(grad, sum(terms), list(net.parameters()))
    expected = ways[0]()
    same = [
        all(
            torch.equal(a, b)
            for x, y in zip(expected, way(), strict=True)
            for a, b in zip(x, y, strict=True)
        )
        for way in ways
    ]
    times = [[timed(one) for one in (plain, *ways)] for _ in range(REPEATS // 3)]
    base, *each = (statistics.median(column) for column in zip(*times, strict=True))
    said = "   ".join(
        f"{one / base:.2f} {'same bits' if equal else 'rounded'}"
        for one, equal in zip(each, same, strict=True)
    )
    print(f"  {kind:<14} {len(terms)}   {said}")


def timed(step: Callable[[], object]) -> float:
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
    if sys.argv[1:] == ["passes"]:
        torch.set_num_threads(1)
        passes()
    else:
        main([int(one) for one in sys.argv[1:]] or [2, 4, 8, 16])
        probes(8)
