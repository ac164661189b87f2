"""The zoo with tools of others attached: how many faulty and healthy trainings each speaks of.

Every training of `zoo/` runs once with each tool of `attached.py` in place of a watch, as the
tool's README attaches it; where a program has several optimizers it gets the first. The log that
trainproof reads is JSON Lines with every step in it, the format it knows best. "Speaks" is any
warning or error, whatever it says: none names a term. What is not installed is named.

    python -m benchmarks.zoo_live_peers [--only NAME ...] [--jobs 2]
"""

import argparse
import multiprocessing
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from benchmarks.attached import TOOLS, Alarms, Attach, Attached
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.optim import Optimizer
from zoo.desk import Desk, Session

from zoo import FIRST

SKIPPED = 77
"""Exit status if nothing is installed; `python -m benchmarks` shows it as skipped."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one tool says of one training, and the error with which it stopped it, or None."""

    case: str
    tool: str
    alarms: tuple[tuple[str, bool], ...]
    error: str | None


class PeerDesk(Desk):
    """Attaches a tool in place of a watch, and tells it of every step."""

    def __init__(self, folder: Path, attach: Attach) -> None:
        super().__init__(folder, watched=False)
        self.attach = attach
        self.attached: list[Attached] = []
        self.loss: Tensor | None = None

    def open(  # type: ignore[override]  # passes everything on
        self,
        model: nn.Module,
        optimizer: Optimizer | Sequence[Optimizer],
        **told: Any,  # noqa: ANN401 -- arguments of Desk.open
    ) -> Session:
        """Starts the training with the tool."""
        several = [optimizer] if isinstance(optimizer, Optimizer) else [*optimizer]
        session = super().open(model, optimizer, **{**told, "style": "jsonl", "each": 1})
        self.attached.append(self.attach(model, several[0]))
        # A loop tells the tool after the optimizer's step, or, where none is made, before the next
        # batch.
        several[-1].register_step_post_hook(lambda *_: self.stepped())
        session.total = self._between(session, session.total)  # type: ignore[method-assign]
        return session

    def _between(self, session: Session, total: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def told(*given: Any, **more: Any) -> Tensor:  # noqa: ANN401 -- those of Session.total
            evaluating = session._evaluated is not None
            if not evaluating:
                self.stepped()
            found = total(*given, **more)
            if not evaluating:
                self.loss = found.detach()
            return found

        return told

    def stepped(self) -> None:
        """Tells the tool of the step that has just ended, once."""
        if self.loss is not None:
            loss, self.loss = self.loss, None
            self.attached[-1].stepped(loss)

    def heard(self) -> Alarms:
        """All that the tool says at the end, of every start of the training."""
        self.stepped()
        return [alarm for one in self.attached for alarm in one.ended(self.log)]


def listen(name: str, tool: str) -> Heard:
    """Trains one with one tool, seeded and on one thread."""
    case = next(one for one in FIRST if one.name == name)
    torch.set_num_threads(1)
    torch.manual_seed(case.seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        desk = PeerDesk(Path(folder), TOOLS[tool])
        try:
            case.train(desk)
            alarms, error = tuple(desk.heard()), None
        except Exception as raised:  # a tool that breaks a training is a result
            alarms, error = (), f"{type(raised).__name__}: {raised}".splitlines()[0]
    return Heard(name, tool, alarms, error)


def heard_of(names: Sequence[str], tools: Sequence[str], jobs: int) -> list[Heard]:
    """Every training with every tool."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        work = [pool.submit(listen, name, tool) for name in names for tool in tools]
        done = track(as_completed(work), "training the zoo", total=len(work))
        return [one.result() for one in done]


def table(heard: Sequence[Heard], versions: Mapping[str, str]) -> Table:
    """A row for each tool."""
    faulty = {one.name for one in FIRST if one.faults}
    made = Table(title="the zoo under tools of others", title_justify="left")
    for head in ("tool", "faulty", "healthy", "healthy: errors", "stopped by it"):
        made.add_column(head, justify="left" if head == "tool" else "right")
    for tool, version in versions.items():
        mine = [one for one in heard if one.tool == tool]
        bad = [one for one in mine if one.case in faulty]
        good = [one for one in mine if one.case not in faulty]
        made.add_row(
            f"{tool} {version}",
            f"{sum(bool(one.alarms) for one in bad)}/{len(bad)}",
            f"{sum(bool(one.alarms) for one in good)}/{len(good)}",
            f"{sum(any(severe for _, severe in one.alarms) for one in good)}/{len(good)}",
            f"{sum(one.error is not None for one in mine)}/{len(mine)}",
        )
    return made


def report(heard: Sequence[Heard], versions: Mapping[str, str]) -> None:
    """Prints the table, what is said most, and which trainings a tool stopped."""
    console = Console(width=120)
    faulty = {one.name for one in FIRST if one.faults}
    for tool in versions:
        for kind, among in (("faulty", True), ("healthy", False)):
            said = Counter(
                what
                for one in heard
                if one.tool == tool and (one.case in faulty) == among
                for what in {what for what, _ in one.alarms}
            )
            told = ", ".join(f"{what} {count}" for what, count in said.most_common(8))
            console.print(f"{tool} of {kind} trainings: {told or 'nothing'}", highlight=False)
    for one in heard:
        if one.error is not None:
            console.print(f"{one.tool} stopped {one.case}: {one.error}", markup=False)
    console.print(table(heard, versions))


def installed() -> dict[str, str]:
    """The versions of the tools that are there."""
    return {name: metadata.version(name) for name in TOOLS if find_spec(name.replace("-", "_"))}


def main() -> int:
    """Trains and prints; 77 if no tool is installed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="parts of names")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    options = parser.parse_args()
    versions = installed()
    for name in TOOLS:
        if name not in versions:
            print(f"{name}: not installed")
    if not versions:
        print(f"none of {', '.join(TOOLS)} is installed: pip install {' '.join(TOOLS)}")
        return SKIPPED
    names = [c.name for c in FIRST if not options.only or any(p in c.name for p in options.only)]
    report(heard_of(names, list(versions), options.jobs), versions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
