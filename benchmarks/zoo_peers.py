"""The zoo under the loss checks of others: how many faulty and healthy trainings each speaks of.

They see the same watched records, their totals and logged gradient norms. "Speaks" is any alarm,
whatever it says: none of them names a fault or a term.

    python -m benchmarks.zoo --keep DIR && python -m benchmarks.zoo_peers DIR
"""

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers import PEERS, judge
from rich.console import Console
from rich.progress import track
from rich.table import Table

import poise
from poise.doctor import Severity
from zoo import FIRST


def spoken(run: poise.Run) -> list[str]:
    """Names of the checks that raise an alarm; poise does with a warning or an error."""
    found = [name for name, one in judge(run).items() if one]
    worst = poise.diagnose(run, accepted=()).worst
    if worst is not None and worst is not Severity.NOTE:
        found.append("poise, any alarm")
    return found


def counts(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """How often each check speaks, of faulty and of healthy trainings."""
    faulty: Counter[str] = Counter()
    healthy: Counter[str] = Counter()
    for case in track(FIRST, "reading the zoo"):
        run = poise.read_run(folder / case.name / "run")
        (healthy if case.fault is None else faulty).update(spoken(run))
    return faulty, healthy


def main(words: Iterable[str]) -> None:
    """Prints the table for the kept records in a folder."""
    faulty, healthy = counts(Path(*words))
    of_faulty = sum(case.fault is not None for case in FIRST)
    table = Table(title="alarms, watched records")
    for heading in ("check", "faulty", "healthy"):
        table.add_column(heading)
    for name in (*PEERS, "poise, any alarm"):
        rest = len(FIRST) - of_faulty
        table.add_row(name, f"{faulty[name]}/{of_faulty}", f"{healthy[name]}/{rest}")
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
