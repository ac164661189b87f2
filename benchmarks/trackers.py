"""What watching costs beside what others cost: `python -m benchmarks.trackers [ROUNDS]`.

One net is trained several times side by side, in turns of a few steps, as
`benchmarks/overhead.py` does: plain, plain again, under `Watch`, with a TensorBoard `SummaryWriter`
and with W&B offline that log the total and every term at every step, under torch-audit and
torchmortem (see `attached.py`), and under cockpit's cheapest configuration, which measures one step
in 50, as a watch does. A step that cockpit measures takes so long that it takes part in the first
rounds only. Reported is processor time of this process on one thread, and its child processes'
beside it: W&B works in one. What is not installed is named with the error. `pip install
-e .[bench]` brings TensorBoard and W&B; the others:
`pip install torchmortem torch-audit cockpit-for-pytorch 'setuptools<81'`.
"""

import os
import platform
import resource
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module, metadata

import torch
from benchmarks.attached import Attached, torch_audit, torchmortem
from benchmarks.overhead import BATCH, BLOCK, HEADS, Array, Net, OwnTime, compared, measured, summed
from torch import Tensor, nn
from torch.optim import Optimizer

import poise
from poise.watch import Watch

EVERY = 50
"""Steps between two measurements, where a tool leaves that to its user: the default of `Watch`."""
FEW = 10
"""Rounds in which cockpit takes part."""


class Plain:
    """The training and nothing else; a tool is a subclass that does something somewhere in it.

    Args:
        stack: What has to be closed.
        net: What is trained.
        optimizer: By which.
        clock: Of the training's own turns.
    """

    packages: tuple[str, ...] = ()
    """Whose versions are said."""

    def __init__(self, stack: ExitStack, net: Net, optimizer: Optimizer, clock: OwnTime) -> None:
        self.stack, self.net, self.optimizer, self.clock = stack, net, optimizer, clock
        self.criterion = nn.CrossEntropyLoss()
        self.start()

    def start(self) -> None:
        """Opens the tool."""

    def loss(self, logits: Tensor, classes: Tensor) -> Tensor:
        """One term."""
        return self.criterion(logits, classes)

    def total(self, step: int, terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:  # noqa: ARG002
        """The weighted sum."""
        return summed(terms, weights)

    def backward(self, step: int, total: Tensor) -> None:  # noqa: ARG002
        """The backward pass."""
        total.backward()

    def stepped(self, total: Tensor) -> None:
        """Called after the optimizer's step."""

    def folder(self) -> str:
        """A directory that goes with the training."""
        return self.stack.enter_context(tempfile.TemporaryDirectory())


class Watched(Plain):
    """A `Watch` with its defaults, which counts its own turns as its time."""

    def start(self) -> None:
        """Opens the watch."""
        watch = Watch(self.folder(), model=self.net, optimizer=self.optimizer)
        watch.budget._clock = self.clock
        self.watch = self.stack.enter_context(watch)

    def total(self, step: int, terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:  # noqa: ARG002
        """The weighted sum, watched."""
        return self.watch.total(terms, weights)


class TensorBoard(Plain):
    """Every term and the total as scalars, every step."""

    packages = ("tensorboard",)

    def start(self) -> None:
        """Opens the writer."""
        self.writer = import_module("torch.utils.tensorboard").SummaryWriter(self.folder())
        self.stack.callback(self.writer.close)

    def total(self, step: int, terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
        """The weighted sum, logged."""
        total = super().total(step, terms, weights)
        self.writer.add_scalar("total", total.detach(), step)
        for name, one in terms.items():
            self.writer.add_scalar(name, one.detach(), step)
        return total


class WandB(Plain):
    """Every term and the total in one call, every step, offline."""

    packages = ("wandb",)

    def start(self) -> None:
        """Starts an offline run."""
        os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
        wandb = import_module("wandb")
        self.stack.callback(wandb.teardown)  # waits for its process, whose time is then known
        self.run = wandb.init(project="overhead", dir=self.folder())
        self.stack.callback(self.run.finish)

    def total(self, step: int, terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
        """The weighted sum, logged."""
        total = super().total(step, terms, weights)
        self.run.log({"total": total.item(), **{n: one.item() for n, one in terms.items()}}, step)
        return total


class TorchAudit(Plain):
    """Looks at one step in `EVERY`."""

    packages = ("torch-audit",)

    def start(self) -> None:
        """Attaches it."""
        self.attached = self.attach()
        self.stack.callback(self.attached.ended, None)

    def attach(self) -> Attached:
        """Hangs it on the model and the optimizer."""
        return torch_audit(self.net, self.optimizer, every=EVERY)

    def stepped(self, total: Tensor) -> None:
        """Tells it of the step."""
        self.attached.stepped(total)


class Torchmortem(TorchAudit):
    """With its defaults: cheap measurements at every step, dear ones at one in 50."""

    packages = ("torchmortem",)

    def attach(self) -> Attached:
        """Hangs it on the model and the optimizer."""
        return torchmortem(self.net, self.optimizer)


class Cockpit(Plain):
    """Its configuration "economy" at one step in `EVERY`: gradients of every sample by BackPACK."""

    packages = ("cockpit-for-pytorch", "backpack-for-pytorch")

    def start(self) -> None:
        """Extends net and loss, as its README does."""
        module, backpack = import_module("cockpit"), import_module("backpack")
        configuration = import_module("cockpit.utils.configuration").configuration
        schedule = import_module("cockpit.utils.schedules").linear(EVERY)
        backpack.extend(self.net), backpack.extend(self.criterion)
        quantities = configuration("economy", track_schedule=schedule)
        self.cockpit = module.Cockpit(self.net.parameters(), quantities=quantities)
        self.each = torch.zeros(BATCH)

    def loss(self, logits: Tensor, classes: Tensor) -> Tensor:
        """One term; it wants that of every sample, too."""
        one = nn.functional.cross_entropy(logits.detach(), classes, reduction="none")
        self.each = self.each + one / HEADS
        return self.criterion(logits, classes)

    def backward(self, step: int, total: Tensor) -> None:
        """The backward pass, in its context."""
        info = {
            "batch_size": BATCH,
            "individual_losses": self.each,
            "loss": total,
            "optimizer": self.optimizer,
        }
        with self.cockpit(step, info=info):
            total.backward(create_graph=self.cockpit.create_graph(step))
        self.each = torch.zeros(BATCH)


TOOLS: dict[str, type[Plain]] = {
    "plain": Plain,
    "Watch()": Watched,
    "TensorBoard": TensorBoard,
    "W&B offline": WandB,
    "torch-audit": TorchAudit,
    "torchmortem": Torchmortem,
    "cockpit": Cockpit,
    "plain again": Plain,
}


def training(make: type[Plain], stack: ExitStack, clock: OwnTime) -> Iterator[None]:
    """The net of `benchmarks/overhead.py` under a tool, which is opened at once.

    Raises:
        Exception: Whatever keeps the tool from running here.
    """
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)
    return steps(make(stack, net, optimizer, clock))


def steps(tool: Plain) -> Iterator[None]:
    """One step on one batch each time it is asked."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, 512, generator=generator)
    y = torch.randint(10, (HEADS, BATCH), generator=generator)
    weights = {f"head{k}": 1 / HEADS for k in range(HEADS)}
    step = 0
    while True:
        losses = [tool.loss(out, one) for out, one in zip(tool.net(x), y, strict=True)]
        total = tool.total(step, dict(zip(weights, losses, strict=True)), weights)
        tool.backward(step, total)
        tool.optimizer.step()
        tool.stepped(total.detach())
        tool.optimizer.zero_grad()
        step += 1
        yield


def main() -> None:
    """Prints the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 36
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of the tools' own hooks and imports
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        clocks = {name: OwnTime() for name in TOOLS}
        trainings: dict[str, Iterator[None]] = {}
        for name, make in TOOLS.items():
            try:
                trainings[name] = training(make, stack, clocks[name])
            except Exception as error:  # whatever keeps a peer from running is told
                missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        spent = measured(rounds, trainings, clocks, few={"cockpit": FEW})
    print(f"torch {torch.__version__}, poise {poise.__version__}, {versions(missing)}", end=", ")
    print(f"Python {platform.python_version()}")
    print(f"{HEADS} terms, batch {BATCH}, AdamW, one thread, {rounds * BLOCK} steps each")
    table(spent)
    for name, why in missing.items():
        print(f"{name:>12} not measured: {why}")
    children = os.times()
    print(f"processor time of child processes: {children[2] + children[3]:.1f} s", end="; ")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    print(f"peak memory of this one: {peak:.1f} GiB")


def table(spent: Mapping[str, Array]) -> None:
    """Prints a line for each training, compared with the plain one of the same rounds."""
    print(f"{'':>12} {'ms/step':>8} {'ratio of sums':^24} {'median of turns':^24}")
    for name, one in spent.items():
        each = 1e3 * one.sum() / (len(one) * BLOCK)
        print(f"{name:>12} {each:>8.2f} {compared(one, spent['plain'][: len(one)])}")
    if "cockpit" in spent:
        own = spent["cockpit"]
        plain = spent["plain"][: len(own)]
        times = len(own) * BLOCK // EVERY
        if times:
            dear = (own.sum() - plain.sum()) / times / (plain.sum() / (len(plain) * BLOCK))
            print(f"cockpit took part in {len(own) * BLOCK} steps", end=" and measured ")
            print(f"{times} times, each worth {dear:.0f} plain steps")


def versions(missing: Mapping[str, str]) -> str:
    """The versions of what was measured."""
    found = [one for name, tool in TOOLS.items() if name not in missing for one in tool.packages]
    return ", ".join(f"{one} {metadata.version(one)}" for one in found)


if __name__ == "__main__":
    main()
