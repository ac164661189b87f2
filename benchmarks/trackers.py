"""What watching costs beside what others cost: `python -m benchmarks.trackers [ROUNDS]`.

One net is trained several times side by side, in turns of a few steps, as
`benchmarks/overhead.py` does: plain, plain again, under `Watch`, with a TensorBoard `SummaryWriter`
and with W&B offline that log the total and every term at every step. Of cockpit it is only said
whether it can be imported. Reported is processor time of this process on one thread, and its child
processes' beside it: W&B works in one.
What is not installed is named with the error: `pip install -e .[bench]` brings TensorBoard and W&B,
`pip install cockpit-for-pytorch backpack-for-pytorch` cockpit.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module, metadata

import torch
from benchmarks.overhead import BATCH, BLOCK, HEADS, Net, OwnTime, compared, measured, summed
from torch import Tensor, nn

import poise
from poise.watch import Watch

Log = Callable[[int, Tensor, dict[str, Tensor]], None]
"""What is called at every step with its number, the total and the terms."""


def plain(_: ExitStack, __: OwnTime) -> Log:
    """Logs nothing."""
    return lambda *_: None


def tensorboard(stack: ExitStack, _: OwnTime) -> Log:
    """Every term and the total as scalars, every step."""
    writer = import_module("torch.utils.tensorboard").SummaryWriter(
        stack.enter_context(tempfile.TemporaryDirectory())
    )
    stack.callback(writer.close)

    def log(step: int, total: Tensor, terms: dict[str, Tensor]) -> None:
        writer.add_scalar("total", total, step)
        for name, one in terms.items():
            writer.add_scalar(name, one, step)

    return log


def wandb(stack: ExitStack, _: OwnTime) -> Log:
    """Every term and the total in one call, every step, offline."""
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    run = import_module("wandb").init(
        project="overhead", dir=stack.enter_context(tempfile.TemporaryDirectory())
    )
    stack.callback(run.finish)

    def log(step: int, total: Tensor, terms: dict[str, Tensor]) -> None:
        run.log({"total": total.item(), **{name: one.item() for name, one in terms.items()}}, step)

    return log


def cockpit(_: ExitStack, __: OwnTime) -> Log:
    """Only whether it can be imported is asked: this script has no training for it."""
    import_module("cockpit")
    raise ImportError("it imports here, and this script does not drive it")


OTHERS = {"TensorBoard": tensorboard, "W&B offline": wandb, "cockpit": cockpit}
PACKAGES = {"TensorBoard": "tensorboard", "W&B offline": "wandb", "cockpit": "cockpit-for-pytorch"}


def training(log: Log) -> Iterator[None]:
    """One step of the net of `benchmarks/overhead.py` each time it is asked."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)
    return steps(net, optimizer, lambda step, terms, weights: told(log, step, terms, weights))


def told(log: Log, step: int, terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """The plain weighted sum, after it was logged."""
    total = summed(terms, weights)
    log(step, total.detach(), {name: one.detach() for name, one in terms.items()})
    return total


def watched(stack: ExitStack, clock: OwnTime) -> Iterator[None]:
    """The same under a `Watch` with its defaults, which counts its own turns as its time."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)
    run = stack.enter_context(tempfile.TemporaryDirectory())
    watch = stack.enter_context(Watch(run, model=net, optimizer=optimizer))
    watch.budget._clock = clock
    return steps(net, optimizer, lambda _, terms, weights: watch.total(terms, weights))


def steps(
    net: Net,
    optimizer: torch.optim.Optimizer,
    total_of: Callable[[int, dict[str, Tensor], dict[str, float]], Tensor],
) -> Iterator[None]:
    """Steps on one batch."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, 512, generator=generator)
    y = torch.randint(10, (HEADS, BATCH), generator=generator)
    weights = {f"head{k}": 1 / HEADS for k in range(HEADS)}
    step = 0
    while True:
        losses = [nn.functional.cross_entropy(out, one) for out, one in zip(net(x), y, strict=True)]
        total_of(step, dict(zip(weights, losses, strict=True)), weights).backward()
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        yield


def main() -> None:
    """Prints the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    torch.set_num_threads(1)
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        clocks = {"plain": OwnTime(), "Watch()": OwnTime()}
        trainings = {
            "plain": training(plain(stack, clocks["plain"])),
            "Watch()": watched(stack, clocks["Watch()"]),
        }
        for name, make in OTHERS.items():
            try:
                trainings[name] = training(make(stack, OwnTime()))
                clocks[name] = OwnTime()
            except Exception as error:  # whatever keeps a peer from running is told
                missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        trainings["plain again"] = training(plain(stack, clocks["plain"]))
        clocks["plain again"] = OwnTime()
        spent = measured(rounds, trainings, clocks)
    print(f"torch {torch.__version__}, poise {poise.__version__}, {versions(missing)}", end=", ")
    print(f"Python {platform.python_version()}")
    print(f"{HEADS} terms, batch {BATCH}, AdamW, one thread, {rounds * BLOCK} steps each")
    print(f"{'':>12} {'ms/step':>8} {'ratio of sums':^24} {'median of turns':^24}")
    for name, one in spent.items():
        print(
            f"{name:>12} {1e3 * one.sum() / (rounds * BLOCK):>8.2f} {compared(one, spent['plain'])}"
        )
    for name, why in missing.items():
        print(f"{name:>12} not measured: {why}")
    children = os.times()
    print(f"processor time of child processes: {children[2] + children[3]:.1f} s")


def versions(missing: dict[str, str]) -> str:
    """The versions of what was measured."""
    return ", ".join(
        f"{one} {metadata.version(one)}" for n, one in PACKAGES.items() if n not in missing
    )


if __name__ == "__main__":
    main()
