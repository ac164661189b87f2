"""What does a diagnosis cost? A run of our own record with 8 terms, from 10,000 to 1,000,000 steps.

Each size is diagnosed in a process of its own, as `poise diagnose` would: reading, all rules and
the HTML report. Prints wall time, processor time, peak memory, and whether time grows linearly.

    python benchmarks/diagnose.py [STEPS ...]
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import poise
from poise.record import Recorder

SIZES = (10_000, 100_000, 1_000_000)
TERMS = tuple(f"term_{index}" for index in range(8))


def write(folder: Path, steps: int) -> None:
    """A training whose terms fall at different rates, with noise and a learning rate schedule."""
    rng = np.random.default_rng(0)
    progress = np.arange(steps) / steps
    rates = np.linspace(1.0, 6.0, len(TERMS))
    values = np.exp(-np.outer(progress, rates)) * rng.lognormal(0, 0.1, (steps, len(TERMS)))
    weights = {name: 1.0 / (index + 1) for index, name in enumerate(TERMS)}
    with Recorder(folder, terms=TERMS, weights=weights, total_steps=steps) as recorder:
        for step, row in enumerate(values.tolist()):
            terms = dict(zip(TERMS, row, strict=True))
            total = sum(weights[name] * value for name, value in terms.items())
            recorder.step(step, total=total, terms=terms, lr=[1e-3 * (1 - progress[step])])


def measure(folder: Path) -> None:
    """Diagnoses one run in this process and prints wall, processor seconds and peak MiB."""
    begin = time.perf_counter()
    diagnosis = poise.diagnose(folder)
    examined = time.perf_counter() - begin
    from poise.report.html import render_html

    size = len(render_html(diagnosis))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    everything = time.perf_counter() - begin
    print(examined, everything, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, size)


def main(sizes: list[int]) -> None:
    """Prints the table."""
    table = Table(title="diagnosis of a run with 8 terms")
    heads = (
        "steps",
        "file MB",
        "diagnose s",
        "with HTML s",
        "cpu s",
        "peak MiB",
        "us/step",
        "HTML MB",
    )
    for head in heads:
        table.add_column(head, justify="right")
    with tempfile.TemporaryDirectory() as scratch:
        for steps in sizes:
            folder = Path(scratch) / str(steps)
            write(folder, steps)
            command = [sys.executable, __file__, "--measure", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            examined, everything, cpu, peak, html = map(float, done.stdout.split())
            table.add_row(
                f"{steps:,}",
                f"{(folder / 'run.jsonl').stat().st_size / 1e6:.0f}",
                f"{examined:.2f}",
                f"{everything:.2f}",
                f"{cpu:.2f}",
                f"{peak:.0f}",
                f"{examined / steps * 1e6:.1f}",
                f"{html / 1e6:.2f}",
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]))
    else:
        main([int(word) for word in sys.argv[1:]] or list(SIZES))
