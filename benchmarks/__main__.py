"""All long benchmarks, one after another: `python -m benchmarks`, or `make bench`.

    python -m benchmarks [--only NAME ...] [--quick] [--quiet] [--out FOLDER]

The list below is every script whose numbers the docs quote, with the pages that quote them; what
needs the records of the zoo is `make zoo`. A bar says how many are done, what each prints is kept
in `FOLDER/NAME.txt`, and a table closes the run. One that fails does not stop the others; the exit
status is 1 if any failed. `--quick` runs short versions, which show that all of them work and whose
numbers are good for nothing. A script that lacks what it needs exits with `SKIPPED` and says so in
its last line. Trainings of the incidents are kept under runs/bench and used again; `make bench`
removes them first.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).parents[1]
SKIPPED = 77
"""Exit status of a script that cannot run here, as automake has it."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One script with its arguments.

    Attributes:
        name: What `--only` finds it by, and the name of the file with its output.
        command: Arguments of python, as the docs write them.
        pages: Pages of the docs that quote its numbers.
        quick: Arguments of its short version; None: it is short as it is.
    """

    name: str
    command: str
    pages: tuple[str, ...]
    quick: str | None = None


PAGE, COMPARE = "docs/benchmarks.md", "docs/compare.md"
INCIDENTS = ("multitask", "plasticity", "distill", "peptide")

BENCHMARKS = (
    Benchmark("corpus", "benchmarks/corpus.py", (PAGE,)),
    Benchmark("made", "-m tests.doctor.made 10", (PAGE,), "-m tests.doctor.made 1"),
    Benchmark("diagnose", "benchmarks/diagnose.py", (PAGE,), "benchmarks/diagnose.py 10000"),
    Benchmark(
        "record", "benchmarks/record.py", (PAGE, "docs/record.md"), "benchmarks/record.py 10000"
    ),
    Benchmark("text", "benchmarks/text.py", (PAGE,), "benchmarks/text.py 3"),
    Benchmark("events", "benchmarks/events.py", (PAGE,), "benchmarks/events.py --rounds 1"),
    Benchmark("fork", "benchmarks/fork.py", ("docs/fork.md",), "benchmarks/fork.py 2"),
    Benchmark("fork-passes", "benchmarks/fork.py passes", ("docs/fork.md",)),
    Benchmark("overhead", "benchmarks/overhead.py", ("docs/watch.md",), "benchmarks/overhead.py 3"),
    Benchmark(
        "overhead-first",
        "benchmarks/overhead.py 20",
        ("docs/watch.md",),
        "benchmarks/overhead.py 3",
    ),
    Benchmark("trackers", "-m benchmarks.trackers", (PAGE,), "-m benchmarks.trackers 3"),
    Benchmark(
        "zoo-live-peers",
        "-m benchmarks.zoo_live_peers",
        ("docs/zoo.md",),
        "-m benchmarks.zoo_live_peers --only ctc",
    ),
    Benchmark(
        "survival",
        "-m benchmarks.survival",
        ("docs/survival.md",),
        "-m benchmarks.survival --kills 3 --records 100000",
    ),
    Benchmark(
        "balance", "benchmarks/balance.py", (PAGE,), "benchmarks/balance.py --quick --terms 2"
    ),
    Benchmark(
        "outcome",
        "benchmarks/outcome.py",
        (PAGE, "docs/balance.md"),
        "benchmarks/outcome.py --seeds 1 --steps 5 --methods mgda",
    ),
    *(
        Benchmark(
            f"compare-{name}",
            f"-m benchmarks.compare {name} --pairs 50",
            (COMPARE,),
            f"-m benchmarks.compare {name} --pairs 3",
        )
        for name in ("autoencoder", "rates", "denoiser", "causal", "parity", "multitask")
    ),
    Benchmark(
        "compare-fixes",
        "-m benchmarks.compare multitask --pairs 3 --fixes 12",
        (COMPARE,),
        "-m benchmarks.compare multitask --pairs 3 --fixes 1",
    ),
    Benchmark(
        "calibrate",
        "-m benchmarks.calibrate --rounds 0",
        (COMPARE,),
        "-m benchmarks.calibrate --rounds 0 --seeds 2",
    ),
    Benchmark("npt-proposals", "-m benchmarks.npt_proposals", ("docs/incidents/plasticity.md",)),
    *(
        Benchmark(
            f"incident-{name}",
            f"-m benchmarks.incident_{name} --others 2 --runs runs/bench/incidents",
            (f"docs/incidents/{name}.md",),
            f"-m benchmarks.incident_{name} --quick --seeds 1 --runs runs/quick",
        )
        for name in INCIDENTS
    ),
)
"""Short ones first. With `--write`, by hand, the incidents' pages are renewed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one ended: its exit status, wall time in minutes, output, and last line."""

    benchmark: Benchmark
    status: int
    minutes: float
    output: Path
    last: str

    @property
    def failed(self) -> bool:
        """Neither well ended nor skipped."""
        return self.status not in (0, SKIPPED)

    @property
    def said(self) -> str:
        """The status in words."""
        if self.status == SKIPPED:
            return f"skipped: {self.last}"
        return f"failed, exit status {self.status}" if self.failed else "done"


def run(one: Benchmark, folder: Path, console: Console, *, quick: bool, quiet: bool) -> Outcome:
    """Runs one, with its output on the console and in a file."""
    words = (one.quick if quick and one.quick is not None else one.command).split()
    path, last, begin = folder / f"{one.name}.txt", "", time.monotonic()
    # Tables keep the width that the docs have, and lines come when they are printed.
    surroundings = {**os.environ, "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
    console.print(f"$ python {' '.join(words)}  > {path}", markup=False, soft_wrap=True)
    with (
        path.open("w") as kept,
        subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stdout or ():
            kept.write(line)
            kept.flush()
            last = line.strip() or last
            if not quiet:
                console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)
    return Outcome(one, process.returncode, (time.monotonic() - begin) / 60, path, last)


def run_all(
    some: Sequence[Benchmark], folder: Path, console: Console, *, quick: bool, quiet: bool
) -> list[Outcome]:
    """Runs them in turn; an interrupt ends the run, and what was done until then is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    outcomes: list[Outcome] = []
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task("benchmarks", total=len(some))
        try:
            for one in some:
                progress.update(bar, description=one.name)
                outcomes.append(run(one, folder, console, quick=quick, quiet=quiet))
                progress.advance(bar)
        except KeyboardInterrupt:
            console.print(f"interrupted in {some[len(outcomes)].name}")
        progress.update(bar, description="benchmarks")
    return outcomes


def table(outcomes: Iterable[Outcome]) -> Table:
    """A row for each."""
    made = Table(title="benchmarks", title_justify="left")
    for head in ("name", "outcome", "minutes", "output", "quoted in"):
        made.add_column(head, justify="right" if head == "minutes" else "left", overflow="fold")
    for one in outcomes:
        pages = "\n".join(one.benchmark.pages)
        output = os.path.relpath(one.output)
        made.add_row(one.benchmark.name, one.said, f"{one.minutes:.1f}", output, pages)
    return made


def chosen(only: Sequence[str]) -> list[Benchmark]:
    """Those whose name contains one of `only`, or all.

    Raises:
        SystemExit: A part that no name contains.
    """
    for part in only:
        if not any(part in one.name for one in BENCHMARKS):
            names = ", ".join(one.name for one in BENCHMARKS)
            raise SystemExit(f"--only: expected a part of a name, got {part!r}; there are {names}")
    return [one for one in BENCHMARKS if not only or any(part in one.name for part in only)]


def main(words: Sequence[str] | None = None) -> int:
    """Runs what is asked for; 1 if any failed or was not reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="parts of names")
    parser.add_argument("--quick", action="store_true", help="short versions, to see them work")
    parser.add_argument("--quiet", action="store_true", help="their output into the files only")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench", metavar="FOLDER")
    options = parser.parse_args(words)
    some, console = chosen(options.only), Console()
    outcomes = run_all(some, options.out, console, quick=options.quick, quiet=options.quiet)
    console.print(table(outcomes))
    return int(len(outcomes) < len(some) or any(one.failed for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
