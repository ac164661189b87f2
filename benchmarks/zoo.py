"""How often is a fault named, how soon, and how often is a healthy training accused?

Runs the trainings of `zoo/`, each watched and from its printed log alone, and prints recall,
precision and time to detection by fault class, what is named instead, and every miss and false
alarm by name. Half of the zoo was never looked at when thresholds were chosen ("held out"). Two
more sets were written later by someone who did not know the rules, the second one after the rules
had been extended ("blind 1", "blind 2"): each has its own row.

    python -m benchmarks.zoo [--only NAME ...] [--fast] [--keep FOLDER]
"""

import argparse
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table
from zoo.case import Case
from zoo.observe import Seen, observe

from poise.doctor import Fault
from zoo import CASES

MODES = ("watched", "log")
PARTS = ("tune", "held out", "blind 1", "blind 2")
WORKERS = 2

Results = Mapping[str, Mapping[str, Seen]]


def _one(name: str, keep: Path | None) -> tuple[str, dict[str, Seen]]:
    return name, observe(next(case for case in CASES if case.name == name), keep)


def run(cases: Sequence[Case], keep: Path | None) -> dict[str, dict[str, Seen]]:
    """Observes the cases in two processes."""
    results: dict[str, dict[str, Seen]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        jobs = [pool.submit(_one, case.name, keep) for case in cases]
        for job in track(as_completed(jobs), "training the zoo", total=len(jobs)):
            name, seen = job.result()
            results[name] = seen
    return results


def _part(hits: int, of: int) -> str:
    return f"{hits}/{of}" + (f" {hits / of:.0%}" if of else "")


def first_alarm(seen: Seen) -> str:
    """Fault of the first warning or error, or what is there instead."""
    if seen.alarms:
        return seen.alarms[0][1]
    return "(note)" if seen.named else "nothing"


def part(case: Case) -> str:
    """The part of the zoo that a training belongs to."""
    return f"blind {case.blind}" if case.blind else "tune" if case.tune else "held out"


def right(case: Case, seen: Seen) -> bool:
    """Is the first warning or error of a training a fault that it has?"""
    return bool(seen.alarms) and seen.alarms[0][1] in case.faults


def summary(cases: Sequence[Case], results: Results) -> Table:
    """Recall, precision, false alarms and time to detection, by part and way of seeing."""
    table = Table(title="the zoo", title_justify="left")
    heads = (
        "",
        "recall",
        "with notes",
        "precision",
        "healthy: errors",
        "healthy: warnings",
        "before onset",
        "median steps",
    )
    for head in heads:
        table.add_column(head, justify="left" if not head else "right")
    parts = {"all": [c for c in cases if not c.blind]}  # the first set; the blind ones are apart
    parts |= {name: [c for c in cases if part(c) == name] for name in PARTS}
    for mode in MODES:
        for name, some in parts.items():
            table.add_row(f"{mode}, {name}", *_sums(some, results, mode))
    return table


def _sums(cases: Sequence[Case], results: Results, mode: str) -> Iterable[str]:
    faulty = [(one, results[one.name][mode]) for one in cases if one.faults]
    healthy = [results[one.name][mode] for one in cases if not one.faults]
    yield _part(sum(seen.named for _, seen in faulty), len(faulty))
    yield _part(sum(seen.hinted for _, seen in faulty), len(faulty))
    alarmed = [(one, results[one.name][mode]) for one in cases if results[one.name][mode].alarms]
    yield _part(sum(right(one, seen) for one, seen in alarmed), len(alarmed))
    yield _part(sum(any(a[2] == "error" for a in one.alarms) for one in healthy), len(healthy))
    yield _part(sum(any(a[2] == "warning" for a in one.alarms) for one in healthy), len(healthy))
    late = [seen for one, seen in faulty if one.onset >= 30]
    yield _part(sum(bool(seen.early) for seen in late), len(late))
    delays = [seen.delay for _, seen in faulty if seen.delay is not None]
    yield f"{median(delays):g}" if delays else "-"


def by_fault(cases: Sequence[Case], results: Results) -> Table:
    """One row for each fault class."""
    table = Table(title="by fault class", title_justify="left")
    table.add_column("fault")
    for mode in MODES:
        for head in ("named", "steps (median, worst)"):
            table.add_column(f"{mode}: {head}", justify="right")
    for fault in Fault:
        some = [one for one in cases if one.fault == fault.value]
        if some:
            cells = [cell for mode in MODES for cell in _row(some, results, mode)]
            table.add_row(fault.value, *cells)
    return table


def _row(cases: Sequence[Case], results: Results, mode: str) -> tuple[str, str]:
    seen = [results[one.name][mode] for one in cases]
    delays = [one.delay for one in seen if one.delay is not None]
    told = f"{median(delays):g}, {max(delays)}" if delays else "-"
    return f"{sum(one.named for one in seen)}/{len(seen)}", told


def confusion(cases: Sequence[Case], results: Results, mode: str) -> Table:
    """Declared fault, and the fault of the first warning or error."""
    table = Table(title=f"first warning or error, {mode}", title_justify="left")
    table.add_column("declared")
    table.add_column("named first (times)")
    for fault in (*[one.value for one in Fault], None):
        some = [one for one in cases if one.fault == fault]
        count = Counter(first_alarm(results[one.name][mode]) for one in some)
        if some:
            told = ", ".join(f"{name} {times}" for name, times in count.most_common())
            table.add_row(fault or "healthy", told)
    return table


def listed(cases: Sequence[Case], results: Results, mode: str) -> Iterable[str]:
    """Every miss, every alarm before an onset and every alarm of a healthy training."""
    for one in cases:
        seen, half = results[one.name][mode], part(one)
        told = ", ".join(f"{a[2]} {a[0]}" for a in seen.alarms) or "no alarm"
        told += "; named in a note" if seen.hinted and not seen.named else ""
        if one.faults and not seen.named:
            yield f"  miss ({half})  {one.name}: {one.fault}; found: {told}"
        elif not one.faults and seen.alarms:
            yield f"  false alarm ({half})  {one.name}: {told}"
        if seen.early:
            early = ", ".join(f"{a[2]} {a[0]}" for a in seen.early)
            yield f"  before onset ({half})  {one.name}: {early}"


def report(cases: Sequence[Case], results: Results) -> None:
    """Prints all tables and lists."""
    console = Console(width=120)
    console.print(summary(cases, results))
    console.print(by_fault(cases, results))
    for mode in MODES:
        console.print(confusion(cases, results, mode))
        console.print(f"misses and false alarms, {mode}:")
        lines = list(listed(cases, results, mode))
        console.print("\n".join(lines) if lines else "  none", highlight=False, markup=False)


def chosen(only: Sequence[str], fast: bool) -> list[Case]:
    """The cases whose name contains one of `only`; fast: every fifth of them."""
    cases = [one for one in CASES if not only or any(part in one.name for part in only)]
    return cases[::5] if fast else cases


def main() -> None:
    """Runs or loads the observations and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="parts of names")
    parser.add_argument("--fast", action="store_true", help="every fifth training only")
    parser.add_argument("--keep", type=Path, help="leave the records there, and use those there")
    options = parser.parse_args()
    cases = chosen(options.only, options.fast)
    report(cases, run(cases, options.keep))


if __name__ == "__main__":
    main()
